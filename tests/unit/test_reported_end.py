"""pod.reported_end: a pod is gone before its task has looked at it."""

from __future__ import annotations

from typing import Any

import pytest

from kpo_platform.pod.outcome import decide_outcome
from kpo_platform.pod.reported_end import decide_reported_end
from kpo_platform.pod.state import PodState

Json = dict[str, Any]

SUCCEEDED, FAILED, DISRUPTED = "succeeded", "failed", "disrupted"


def stop(container: str) -> Json:
    """Build the kubelet's event about a container that it stops with its pod."""
    path = {"fieldPath": f"spec.containers{{{container}}}"}
    return {"reason": "Killing", "message": f"Stopping container {container}", "involvedObject": path}


EVICTED = {"reason": "Evicted", "message": "The node was low on resource: memory."}
NOT_READY = {"reason": "NodeNotReady", "message": "Node is not ready"}
LATE = {"reason": "DeadlineExceeded", "message": "Pod was active on the node longer than the specified deadline"}
FULL = {"reason": "Evicted", "message": 'Container base exceeded its local ephemeral storage limit "1Gi". '}
CANCELLED = {"reason": "TaintManagerEviction", "message": "Cancelling deletion of Pod alpha/load-1"}

CASES: dict[str, tuple[list[Json], str, str]] = {
    "no event": ([], SUCCEEDED, FAILED),
    "drained": ([stop("base")], DISRUPTED, DISRUPTED),
    "drained, with a sidecar": ([stop("airflow-xcom-sidecar"), stop("base")], DISRUPTED, DISRUPTED),
    "drained after the program's end": ([stop("airflow-xcom-sidecar")], SUCCEEDED, FAILED),
    "evicted": ([EVICTED, stop("base")], DISRUPTED, DISRUPTED),
    "evicted, and the stop is not reported": ([EVICTED], DISRUPTED, DISRUPTED),
    "evicted after the program's end": ([EVICTED, stop("airflow-xcom-sidecar")], SUCCEEDED, FAILED),
    "node not ready for a while": ([NOT_READY, CANCELLED], SUCCEEDED, DISRUPTED),
    "deletion cancelled": ([CANCELLED], SUCCEEDED, FAILED),
    "ended by its deadline": ([LATE, stop("base")], FAILED, FAILED),
    "ended by its disk": ([FULL, stop("base")], FAILED, FAILED),
}
"""Events, and the outcomes after the trigger has reported a success and a failure."""


def decide(events: list[Json], reported: str) -> tuple[str, str]:
    unseen = decide_outcome(PodState(), container="base", is_gone=True, events=events)
    assert unseen is not None
    outcome = decide_reported_end(unseen, reported, events, "base")
    return outcome.kind.value, outcome.reason


@pytest.mark.parametrize("case", CASES)
def test_events_decide_before_the_triggers_word(case: str):
    events, *expected = CASES[case]
    assert [decide(events, reported)[0] for reported in ("success", "failed")] == expected


@pytest.mark.parametrize("reported", ["timeout", "error", ""])
@pytest.mark.parametrize(
    ("events", "reason"),
    [([], "Gone"), ([stop("base")], "Deleted"), ([EVICTED], "Evicted"), ([NOT_READY], "NodeNotReady")],
)
def test_pod_whose_end_no_trigger_saw_is_disrupted(reported: str, events: list[Json], reason: str):
    assert decide(events, reported) == (DISRUPTED, reason)
