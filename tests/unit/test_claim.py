"""bootstrap.volumes.claim: claims are created, grown, or kept and blocked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kpo_platform.bootstrap import plan
from kpo_platform.bootstrap.model import Action, FieldChange, StorageClass, Verb
from unit.support.bootstrap_plans import CLAIM, COMPLETE, EMPTY, GROWING, build_plan, get_action, volume, with_claim
from unit.support.contracts import build_contract

OLD_LABELS = {"app.kubernetes.io/managed-by": "platformctl"}
"""Labels of a claim that needs a change."""


def test_bound_claim_grows_if_its_storage_class_allows_it():
    action = get_action(build_plan(with_claim(storage_class="growing"), **volume(size="2Gi")), CLAIM)
    assert (action.verb, action.changes, action.resource_version) == (
        Verb.CHANGE,
        (FieldChange("size", "1Gi", "2Gi"),),
        "8",
    )
    assert action.body["spec"]["resources"] == {"requests": {"storage": "2Gi"}}


@pytest.mark.parametrize(
    ("live", "wanted", "sent"),
    [("growing", "growing", "growing"), ("growing", None, "growing"), ("", "", ""), ("", None, None)],
)
def test_change_keeps_the_storage_class_of_the_claim(live: str, wanted: str | None, sent: str | None):
    action = get_action(
        build_plan(with_claim(storage_class=live, labels=OLD_LABELS), **volume(storageClass=wanted)), CLAIM
    )
    assert (action.verb, action.body["spec"].get("storageClassName")) == (Verb.CHANGE, sent)


def test_empty_storage_class_is_not_the_default_class():
    action = get_action(build_plan(EMPTY, **volume(storageClass="")), CLAIM)
    assert (action.verb, action.note, action.body["spec"]["storageClassName"]) == (
        Verb.CREATE,
        "1Gi, ReadWriteOnce, class none: an administrator creates its volume",
        "",
    )


@pytest.mark.parametrize(
    ("live", "wanted", "obstacle"),
    [
        (
            {},
            {"size": "2Gi"},
            "size 1Gi → 2Gi: storage class local-path does not allow expansion (allowVolumeExpansion). "
            "Set the old value again, or use a new volume and copy the data",
        ),
        (
            {"storage_class": "growing", "phase": "Pending"},
            {"size": "2Gi"},
            "size 1Gi → 2Gi: it is Pending and only a bound claim can grow. Run again once a pod uses it",
        ),
        (
            {"storage_class": "growing", "labels": {}},
            {"size": "2Gi"},
            "size 1Gi → 2Gi: not managed by platformctl (no label app.kubernetes.io/managed-by=platformctl). "
            "Resize it where it is defined",
        ),
        (
            {},
            {"size": "500Mi"},
            "size 1Gi → 500Mi: a claim cannot shrink. Set the old value again, or use a new volume and copy the data",
        ),
        (
            {},
            {"storageClass": "growing"},
            "storage class local-path → growing: the class of a claim is immutable. "
            "Set the old value again, or use a new volume and copy the data",
        ),
        (
            {},
            {"storageClass": ""},
            "storage class local-path → none: the class of a claim is immutable. "
            "Set the old value again, or use a new volume and copy the data",
        ),
        (
            {},
            {"accessMode": "ReadWriteMany"},
            "access mode ReadWriteOnce → ReadWriteMany: the access modes of a claim are immutable. "
            "Set the old value again, or use a new volume and copy the data",
        ),
    ],
)
def test_immutable_field_blocks_the_claim(live: dict[str, Any], wanted: dict[str, Any], obstacle: str):
    run_plan = build_plan(with_claim(**live), **volume(**wanted))
    assert get_action(run_plan, CLAIM) == Action(Verb.BLOCKED, CLAIM, note=f"cannot change in place: {obstacle}")
    assert run_plan.has_blocked and not run_plan.has_pending
    assert plan.explain_refusal(run_plan, build_contract().teams) == (
        f"Nothing was written: {CLAIM} cannot change to match the contract. "
        "Correct the volume's values and run helm upgrade."
    )


@pytest.mark.parametrize(
    ("storage_classes", "name", "note"),
    [
        ((GROWING,), None, "the cluster has no default storage class. Set storageClass of the volume"),
        (
            (GROWING,),
            "fast",
            "the cluster has no storage class fast (it has: growing). Correct storageClass of the volume",
        ),
        ((), "fast", "the cluster has no storage class fast (it has: none). Correct storageClass of the volume"),
    ],
)
def test_claim_without_storage_class_is_blocked(storage_classes: tuple[StorageClass, ...], name: str | None, note: str):
    run_plan = build_plan(replace(EMPTY, storage_classes=storage_classes), **volume(storageClass=name))
    assert get_action(run_plan, CLAIM) == Action(Verb.BLOCKED, CLAIM, note=note)


def test_unmanaged_claim_is_unchanged():
    action = get_action(build_plan(with_claim(labels={"app.kubernetes.io/managed-by": "Helm"})), CLAIM)
    note = "1Gi, ReadWriteOnce, class local-path, Bound; not managed by platformctl"
    assert (action.verb, action.note) == (Verb.UNCHANGED, note)


def test_claim_no_longer_in_the_contract_is_kept():
    action = get_action(build_plan(COMPLETE, volumes=[]), CLAIM)
    note = "1Gi, ReadWriteOnce, class local-path, Bound; no longer in the contract, kept"
    assert (action.verb, action.note) == (Verb.UNCHANGED, note)
