"""What is said after a run, from what is there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from kpo_platform.bootstrap import verify
from kpo_platform.bootstrap.actions import Target
from kpo_platform.bootstrap.sign_in import Answer, Verdict
from kpo_platform.bootstrap.state import Live, LiveClaim, LiveConnection, StorageClass
from kpo_platform.bootstrap.verify import Evidence
from unit.contracts import contract
from unit.test_plan import CLAIM, CONNECTION, DONE, GROWING, HOST, LIVE_CLAIM, LOGIN, REGISTRY, SECRET

WHOLE = contract(registry=REGISTRY)
TAKEN = Verdict(Answer.TAKEN, "asked from here")
AT_ONCE = replace(GROWING, waits_for_pod=False)


def with_claim(**fields: object) -> Live:
    return replace(DONE, claims={("team-alpha", "data"): replace(LIVE_CLAIM, **fields)})


def check(live: Live, verdict: Verdict = TAKEN) -> tuple[Evidence, ...]:
    return verify.check(WHOLE, WHOLE.teams, live, {(HOST, LOGIN): verdict})


def evidence(live: Live, target: Target) -> Evidence:
    return next(each for each in check(live) if each.target == target)


def test_what_is_there_is_shown_with_evidence():
    assert check(DONE) == (
        Evidence(
            SECRET, True, "type kubernetes.io/dockerconfigjson, for registry.test; sign-in taken (asked from here)"
        ),
        Evidence(CLAIM, True, "1Gi, ReadWriteOnce, class local-path, Bound"),
        Evidence(CONNECTION, True, "type kubernetes, in cluster, XCom sidecar registry.test/alpine:3"),
    )


def test_what_is_not_there_is_said():
    assert check(Live()) == tuple(Evidence(target, False, "is not there") for target in (SECRET, CLAIM, CONNECTION))


@pytest.mark.parametrize(
    ("answer", "healthy", "verified"), [(Answer.REFUSED, False, True), (Answer.UNVERIFIED, True, False)]
)
def test_a_sign_in_that_is_not_taken_is_not_ok(answer: Answer, healthy: bool, verified: bool):
    seen = f"type kubernetes.io/dockerconfigjson, for registry.test; sign-in {answer} (why)"
    assert check(DONE, Verdict(answer, "why"))[0] == Evidence(SECRET, healthy, seen, verified)


def test_a_claim_that_waits_for_its_first_pod_is_healthy():
    assert evidence(with_claim(phase="Pending"), CLAIM) == Evidence(
        CLAIM, True, "1Gi, ReadWriteOnce, class local-path, Pending: its class binds it when a pod first uses it"
    )


@pytest.mark.parametrize(("phase", "storage_class"), [("Pending", "growing"), ("Lost", "local-path")])
def test_a_claim_that_got_no_volume_is_not(phase: str, storage_class: str):
    assert evidence(with_claim(phase=phase, storage_class=storage_class), CLAIM) == Evidence(
        CLAIM,
        False,
        f"1Gi, ReadWriteOnce, class {storage_class}, {phase}; look with: kubectl -n team-alpha describe pvc data",
    )


def test_a_connection_that_differs_names_the_fields():
    live = replace(DONE, connections={"k8s_default": LiveConnection("kubernetes", {})})
    found = evidence(live, CONNECTION)
    assert not found.healthy and found.seen.startswith("differs in extra.in_cluster, extra.xcom_sidecar_")


def states(*phases: str) -> Iterator[Live]:
    for phase in phases:
        claim: LiveClaim = replace(LIVE_CLAIM, phase=phase, storage_class="at-once")
        yield Live(
            claims={("team-alpha", "data"): claim},
            classes=(StorageClass("at-once", default=True, expandable=False, waits_for_pod=False),),
        )


def test_a_claim_that_is_being_provisioned_is_waited_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(verify, "_INTERVAL", 0.01)
    reading = states("Pending", "Pending", "Bound", "Lost")
    settled = verify.settle(lambda: next(reading), WHOLE.teams, timeout=5)
    assert settled.claims[("team-alpha", "data")].phase == "Bound"


def test_waiting_ends_when_time_is_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(verify, "_INTERVAL", 0.01)
    reading = states(*["Pending"] * 1000)
    assert verify.settle(lambda: next(reading), WHOLE.teams, timeout=0.05).claims
