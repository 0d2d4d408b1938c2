"""bootstrap.verify: evidence from the live state after a run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from kpo_platform.bootstrap import run, verify
from kpo_platform.bootstrap.model import LiveClaim, LiveConnection, LiveState, ObjectRef, StorageClass
from kpo_platform.bootstrap.registry.login_check import LoginResult, LoginStatus
from kpo_platform.bootstrap.verify import Evidence
from unit.support.bootstrap_plans import (
    CLAIM,
    COMPLETE,
    CONNECTION,
    HOST,
    LIVE_CLAIM,
    LOCAL,
    LOGIN,
    REGISTRY,
    SECRET,
)
from unit.support.contracts import build_contract
from unit.support.platformctl import Cluster, Platformctl

CONTRACT = build_contract(registry=REGISTRY)
ACCEPTED = LoginResult(LoginStatus.ACCEPTED, "checked from this machine")


def with_claim(**fields: object) -> LiveState:
    return replace(COMPLETE, claims={("team-alpha", "data"): replace(LIVE_CLAIM, **fields)})


def check(live: LiveState, result: LoginResult = ACCEPTED) -> tuple[Evidence, ...]:
    return verify.verify_state(CONTRACT, CONTRACT.teams, live, {(HOST, LOGIN): result})


def get_evidence(live: LiveState, target: ObjectRef) -> Evidence:
    return next(evidence for evidence in check(live) if evidence.target == target)


def test_existing_objects_have_evidence():
    assert check(COMPLETE) == (
        Evidence(
            SECRET,
            True,
            "type kubernetes.io/dockerconfigjson, for registry.test; login accepted (checked from this machine)",
        ),
        Evidence(CLAIM, True, "1Gi, ReadWriteOnce, class local-path, Bound"),
        Evidence(CONNECTION, True, "type kubernetes, in cluster, XCom sidecar registry.test/alpine:3"),
    )


def test_missing_objects_are_unhealthy():
    assert check(LiveState()) == (
        Evidence(SECRET, False, "does not exist. Log in to its registry, and run bootstrap again"),
        *(Evidence(target, False, "does not exist. Run bootstrap again") for target in (CLAIM, CONNECTION)),
    )


@pytest.mark.parametrize(
    ("answer", "healthy", "verified", "fix"),
    [
        (LoginStatus.REJECTED, False, True, ". Run docker login registry.test, and run bootstrap again"),
        (LoginStatus.UNVERIFIED, True, False, ""),
    ],
)
def test_login_not_accepted_is_unhealthy_or_unverified(answer: LoginStatus, healthy: bool, verified: bool, fix: str):
    seen = f"type kubernetes.io/dockerconfigjson, for registry.test; login {answer} (why){fix}"
    assert check(COMPLETE, LoginResult(answer, "why"))[0] == Evidence(SECRET, healthy, seen, verified)


@pytest.mark.parametrize(
    ("fields", "seen"),
    [
        (
            {"type": "Opaque"},
            "type Opaque, for registry.test; the type must be kubernetes.io/dockerconfigjson. "
            "Delete the Secret, and run bootstrap again",
        ),
        (
            {"logins": {}},
            "type kubernetes.io/dockerconfigjson, for no registry; it needs a login for registry.test. "
            "Run docker login registry.test, and run bootstrap again",
        ),
        (
            {"logins": {HOST: "its auth is not base64"}},
            "type kubernetes.io/dockerconfigjson, for registry.test; its auth is not base64. "
            "Run docker login registry.test, and run bootstrap again",
        ),
    ],
)
def test_secret_without_a_usable_login_is_unhealthy(fields: dict[str, Any], seen: str):
    ((key, secret),) = COMPLETE.secrets.items()
    live = replace(COMPLETE, secrets={key: replace(secret, **fields)})
    assert check(live)[0] == Evidence(SECRET, False, seen)


def test_claim_waiting_for_its_first_pod_is_healthy():
    assert get_evidence(with_claim(phase="Pending"), CLAIM) == Evidence(
        CLAIM,
        True,
        "1Gi, ReadWriteOnce, class local-path, Pending: its storage class binds it when a pod first uses it",
    )


@pytest.mark.parametrize(
    ("mode", "provisioner", "verified", "risk"),
    [
        ("ReadWriteOncePod", "rancher.io/local-path", True, ""),
        ("ReadWriteMany", "nfs.csi.k8s.io", True, ""),
        (
            "ReadWriteMany",
            "rancher.io/local-path",
            False,
            "; rancher.io/local-path supports only ReadWriteOnce and ReadWriteOncePod "
            "unless it has a shared file system",
        ),
    ],
)
def test_claim_that_may_never_be_bound_is_not_verified(mode: str, provisioner: str, verified: bool, risk: str):
    live = replace(
        with_claim(phase="Pending", access_modes=(mode,)), storage_classes=(replace(LOCAL, provisioner=provisioner),)
    )
    seen = f"1Gi, {mode}, class local-path, Pending: its storage class binds it when a pod first uses it{risk}"
    assert get_evidence(live, CLAIM) == Evidence(CLAIM, True, seen, verified)


def test_claim_that_blocks_its_first_pod_is_unhealthy_after_a_wait(
    platformctl: Platformctl, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(verify, "_INTERVAL", 0.05)
    monkeypatch.setattr(run, "_PROVISIONING_SECONDS", 0.2)
    assert platformctl(*cluster.bootstrap, "--yes", "--team", "beta").code == 0
    path = "/api/v1/namespaces/team-beta/persistentvolumeclaims"
    annotations = {"volume.kubernetes.io/selected-node": "n1"}
    cluster.platform.objects[f"{path}/data"]["metadata"]["annotations"] = annotations
    cluster.server.seen.clear()
    result = platformctl(*cluster.bootstrap, "--yes", "--team", "beta")
    assert (result.code, result.out.splitlines()[3]) == (
        1,
        "✗ PersistentVolumeClaim team-beta/data: 1Gi, ReadWriteOnce, class local, Pending, although a pod waits for it "
        "on node n1. Inspect it with: kubectl -n team-beta describe pvc data",
    )
    assert [request.path for request in cluster.server.seen].count(path) > 2


@pytest.mark.parametrize(("phase", "storage_class"), [("Pending", "growing"), ("Lost", "local-path")])
def test_claim_without_volume_is_unhealthy(phase: str, storage_class: str):
    assert get_evidence(with_claim(phase=phase, storage_class=storage_class), CLAIM) == Evidence(
        CLAIM,
        False,
        f"1Gi, ReadWriteOnce, class {storage_class}, {phase}. Inspect it with: kubectl -n team-alpha describe pvc data",
    )


def test_different_connection_names_its_fields():
    live = replace(COMPLETE, connections={"k8s_default": LiveConnection("kubernetes", {})})
    evidence = get_evidence(live, CONNECTION)
    assert not evidence.healthy and evidence.seen.startswith(
        "differs from the contract in extra.in_cluster, extra.xcom_sidecar_"
    )
    assert evidence.seen.endswith(". Run bootstrap again")


def list_states(*phases: str) -> Iterator[LiveState]:
    for phase in phases:
        claim: LiveClaim = replace(LIVE_CLAIM, phase=phase, storage_class="at-once")
        yield LiveState(
            claims={("team-alpha", "data"): claim},
            storage_classes=(StorageClass("at-once", is_default=True, is_expandable=False, waits_for_pod=False),),
        )


def test_run_waits_for_a_claim_being_provisioned(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(verify, "_INTERVAL", 0.01)
    states = list_states("Pending", "Pending", "Bound", "Lost")
    live = verify.wait_for_claims(lambda: next(states), CONTRACT.teams, timeout=5)
    assert live.claims[("team-alpha", "data")].phase == "Bound"


def test_wait_for_claims_ends_at_the_timeout(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(verify, "_INTERVAL", 0.01)
    states = list_states(*["Pending"] * 1000)
    assert verify.wait_for_claims(lambda: next(states), CONTRACT.teams, timeout=0.05).claims
