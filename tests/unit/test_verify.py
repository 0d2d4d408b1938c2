"""What is said after a run, from what is there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from kpo_platform.bootstrap import run, verify
from kpo_platform.bootstrap.model import LiveClaim, LiveConnection, LiveState, ObjectRef, StorageClass
from kpo_platform.bootstrap.registry.login_check import LoginResult, LoginStatus
from kpo_platform.bootstrap.verify import Evidence
from unit.support.contracts import contract
from unit.support.platformctl import Cluster, Platformctl
from unit.test_plan import CLAIM, CONNECTION, DONE, GROWING, HOST, LIVE_CLAIM, LOCAL, LOGIN, REGISTRY, SECRET

WHOLE = contract(registry=REGISTRY)
ACCEPTED = LoginResult(LoginStatus.ACCEPTED, "checked from this machine")
AT_ONCE = replace(GROWING, waits_for_pod=False)


def with_claim(**fields: object) -> LiveState:
    return replace(DONE, claims={("team-alpha", "data"): replace(LIVE_CLAIM, **fields)})


def check(live: LiveState, verdict: LoginResult = ACCEPTED) -> tuple[Evidence, ...]:
    return verify.verify_state(WHOLE, WHOLE.teams, live, {(HOST, LOGIN): verdict})


def evidence(live: LiveState, target: ObjectRef) -> Evidence:
    return next(each for each in check(live) if each.target == target)


def test_what_is_there_is_shown_with_evidence():
    assert check(DONE) == (
        Evidence(
            SECRET,
            True,
            "type kubernetes.io/dockerconfigjson, for registry.test; login accepted (checked from this machine)",
        ),
        Evidence(CLAIM, True, "1Gi, ReadWriteOnce, class local-path, Bound"),
        Evidence(CONNECTION, True, "type kubernetes, in cluster, XCom sidecar registry.test/alpine:3"),
    )


def test_what_is_not_there_is_said():
    assert check(LiveState()) == tuple(
        Evidence(target, False, "does not exist") for target in (SECRET, CLAIM, CONNECTION)
    )


@pytest.mark.parametrize(
    ("answer", "healthy", "verified"), [(LoginStatus.REJECTED, False, True), (LoginStatus.UNVERIFIED, True, False)]
)
def test_a_sign_in_that_is_not_taken_is_not_ok(answer: LoginStatus, healthy: bool, verified: bool):
    seen = f"type kubernetes.io/dockerconfigjson, for registry.test; login {answer} (why)"
    assert check(DONE, LoginResult(answer, "why"))[0] == Evidence(SECRET, healthy, seen, verified)


def test_a_claim_that_waits_for_its_first_pod_is_healthy():
    assert evidence(with_claim(phase="Pending"), CLAIM) == Evidence(
        CLAIM,
        True,
        "1Gi, ReadWriteOnce, class local-path, Pending: its storage class binds it when a pod first uses it",
    )


@pytest.mark.parametrize(
    ("mode", "provisioner", "verified", "doubt"),
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
def test_a_claim_that_its_first_pod_may_find_without_a_volume_is_not_verified(
    mode: str, provisioner: str, verified: bool, doubt: str
):
    live = replace(
        with_claim(phase="Pending", access_modes=(mode,)), storage_classes=(replace(LOCAL, provisioner=provisioner),)
    )
    seen = f"1Gi, {mode}, class local-path, Pending: its storage class binds it when a pod first uses it{doubt}"
    assert evidence(live, CLAIM) == Evidence(CLAIM, True, seen, verified)


def test_a_claim_whose_first_pod_waits_for_its_volume_is_waited_for_and_then_not_healthy(
    platformctl: Platformctl, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(verify, "_INTERVAL", 0.05)
    monkeypatch.setattr(run, "_SETTLE_SECONDS", 0.2)
    assert platformctl(*cluster.bootstrap, "--yes", "--team", "beta").code == 0
    path = "/api/v1/namespaces/team-beta/persistentvolumeclaims"
    annotations = {"volume.kubernetes.io/selected-node": "n1"}
    cluster.platform.objects[f"{path}/data"]["metadata"]["annotations"] = annotations
    cluster.server.seen.clear()
    said = platformctl(*cluster.bootstrap, "--yes", "--team", "beta")
    assert (said.code, said.out.splitlines()[3]) == (
        1,
        "✗ PersistentVolumeClaim team-beta/data: 1Gi, ReadWriteOnce, class local, Pending, although a pod waits for it "
        "on node n1. Inspect it with: kubectl -n team-beta describe pvc data",
    )
    assert [each.path for each in cluster.server.seen].count(path) > 2


@pytest.mark.parametrize(("phase", "storage_class"), [("Pending", "growing"), ("Lost", "local-path")])
def test_a_claim_that_got_no_volume_is_not(phase: str, storage_class: str):
    assert evidence(with_claim(phase=phase, storage_class=storage_class), CLAIM) == Evidence(
        CLAIM,
        False,
        f"1Gi, ReadWriteOnce, class {storage_class}, {phase}. Inspect it with: kubectl -n team-alpha describe pvc data",
    )


def test_a_connection_that_differs_names_the_fields():
    live = replace(DONE, connections={"k8s_default": LiveConnection("kubernetes", {})})
    found = evidence(live, CONNECTION)
    assert not found.healthy and found.seen.startswith("differs in extra.in_cluster, extra.xcom_sidecar_")


def states(*phases: str) -> Iterator[LiveState]:
    for phase in phases:
        claim: LiveClaim = replace(LIVE_CLAIM, phase=phase, storage_class="at-once")
        yield LiveState(
            claims={("team-alpha", "data"): claim},
            storage_classes=(StorageClass("at-once", is_default=True, is_expandable=False, waits_for_pod=False),),
        )


def test_a_claim_that_is_being_provisioned_is_waited_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(verify, "_INTERVAL", 0.01)
    reading = states("Pending", "Pending", "Bound", "Lost")
    settled = verify.wait_for_claims(lambda: next(reading), WHOLE.teams, timeout=5)
    assert settled.claims[("team-alpha", "data")].phase == "Bound"


def test_waiting_ends_when_time_is_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(verify, "_INTERVAL", 0.01)
    reading = states(*["Pending"] * 1000)
    assert verify.wait_for_claims(lambda: next(reading), WHOLE.teams, timeout=0.05).claims
