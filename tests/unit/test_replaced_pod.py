"""lifecycle.adoption: the former pod of a task that starts a new one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kpo_platform.airflow.operators.lifecycle.adoption import (
    Adoption,
    AdoptionKind,
    choose_earlier_pod,
    find_name_holder,
    replace_earlier_pod,
)
from kpo_platform.airflow.operators.lifecycle.start_record import StartRecord
from kpo_platform.pod.state import PodState
from unit.support.earlier_pods import ATTEMPT, CHECKED, EARLIER_TRY, NEW, THIS_TRY, build_pod, deleting, ended

START = AdoptionKind.START_NEW


@pytest.mark.parametrize(
    ("stored", "pod", "kind", "reason", "has_pod", "is_restart"),
    [
        (EARLIER_TRY, build_pod(try_number=1), START, f"The task was stopped while pod p ran{NEW}", True, False),
        (
            EARLIER_TRY, build_pod(ended(0), try_number=1), START, f"The task was stopped while pod p ran{NEW}",
            True, False,
        ),
        (
            EARLIER_TRY, deleting("2026-01-01T00:02:00Z", try_number=1), START,
            f"Pod p of try 1 is being deleted{NEW}", False, False,
        ),
        (EARLIER_TRY, None, START, f"Pod p no longer exists{NEW}", False, False),
    ],
)  # fmt: skip
def test_pod_of_a_stopped_task_is_replaced(
    stored: StartRecord, pod: PodState | None, kind: AdoptionKind, reason: str, has_pod: bool, is_restart: bool
):
    attempt = replace(ATTEMPT, is_stopped=True)
    expected = Adoption(kind, pod if has_pod else None, reason, is_restart)
    assert choose_earlier_pod(stored, pod, [], attempt) == expected


@pytest.mark.parametrize(
    ("name", "stored", "pod", "is_found"),
    [
        ("p", THIS_TRY, build_pod(labels=CHECKED), True),
        ("p", EARLIER_TRY, build_pod(ended(0), "Succeeded"), True),
        ("p", None, build_pod(), True),
        ("q", THIS_TRY, build_pod(), False),
        ("p", THIS_TRY, build_pod(uid="v"), False),
        ("p", replace(THIS_TRY, uid=""), build_pod(start="other"), False),
        ("p", THIS_TRY, deleting("2026-01-01T00:02:00Z"), False),
    ],
)
def test_own_pod_that_has_the_new_name_is_found(name: str, stored: StartRecord | None, pod: PodState, is_found: bool):
    assert find_name_holder(name, stored, [pod], ATTEMPT) == (pod if is_found else None)


@pytest.mark.parametrize(
    ("stored", "pod", "replaced", "is_restart"),
    [
        (None, None, False, False),
        (THIS_TRY, build_pod(), True, True),
        (EARLIER_TRY, build_pod(try_number=1), True, False),
        (THIS_TRY, build_pod(labels={"already_checked": "True"}), False, True),
        (THIS_TRY, deleting("2026-01-01T00:02:00Z"), False, True),
        (THIS_TRY, build_pod(uid="other"), False, True),
        (replace(THIS_TRY, uid=""), None, False, False),
        (replace(THIS_TRY, uid=""), build_pod(), True, True),
    ],
)
def test_task_that_takes_up_no_pod_replaces_its_earlier_one(
    stored: StartRecord | None, pod: PodState | None, replaced: bool, is_restart: bool
):
    adoption = replace_earlier_pod(stored, pod, ATTEMPT)
    assert adoption.kind is AdoptionKind.START_NEW
    assert (adoption.pod, adoption.is_restart) == (pod if replaced else None, is_restart)
