"""Disruptions by the cluster, as opposed to failures of the program."""

from __future__ import annotations

from typing import Any

import pytest

from kpo_platform.pod.disruption import (
    Termination,
    find_started_containers,
    find_stopped_containers,
    find_termination,
    find_termination_in_events,
)
from kpo_platform.pod.state import parse_pod_state


def describe(termination: Termination | None) -> str | None:
    """Describe a disruption; None if there is none."""
    if termination is None or not termination.is_disruption:
        return None
    return f"{termination.reason}: {termination.message}" if termination.message else termination.reason


def find_disruption(pod: dict[str, Any]) -> str | None:
    return describe(find_termination(parse_pod_state(pod)))


def find_disruption_in_events(events: list[dict[str, Any]]) -> str | None:
    return describe(find_termination_in_events(events))


def condition(reason: str, status: str = "True") -> dict[str, Any]:
    return {"type": "DisruptionTarget", "status": status, "reason": reason, "message": "made room"}


@pytest.mark.parametrize(
    ("status", "disruption"),
    [
        ({"conditions": [condition("PreemptionByScheduler")]}, "PreemptionByScheduler: made room"),
        ({"conditions": [condition("EvictionByEvictionAPI")], "phase": "Failed"}, "EvictionByEvictionAPI: made room"),
        ({"reason": "Evicted", "message": "The node was low on memory."}, "Evicted: The node was low on memory."),
        ({"reason": "NodeLost"}, "NodeLost"),
        ({"reason": "OutOfcpu", "message": "Pod was rejected: no cpu"}, "OutOfcpu: Pod was rejected: no cpu"),
        ({"reason": "UnexpectedAdmissionError"}, "UnexpectedAdmissionError"),
        ({"reason": "SysctlForbidden"}, None),
        ({"conditions": [condition("x", "False")], "reason": "DeadlineExceeded"}, None),
        ({"phase": "Failed", "containerStatuses": [{"state": {"terminated": {"reason": "OOMKilled"}}}]}, None),
        ({}, None),
    ],
)
def test_conditions_and_reason_identify_a_disruption(status: dict[str, Any], disruption: str | None):
    assert find_disruption({"status": status}) == disruption


@pytest.mark.parametrize(
    "message",
    [
        'Usage of EmptyDir volume "work" exceeds the limit "10Mi". ',
        "Pod ephemeral local storage usage exceeds the total limit of containers 1Gi. ",
        'Container base exceeded its local ephemeral storage limit "1Gi". ',
    ],
)
def test_eviction_for_its_own_limit_is_not_a_disruption(message: str):
    status = {"reason": "Evicted", "message": message, "conditions": [condition("TerminationByKubelet")]}
    assert find_disruption({"status": status}) is None


def test_deletion_of_a_pod_is_a_disruption():
    pod = {"metadata": {"deletionTimestamp": "2026-11-23T12:00:00Z"}, "status": {}}
    assert find_disruption(pod) == "Deleted"


def test_events_of_a_deleted_pod_identify_a_disruption():
    killing = {"reason": "Killing", "message": "Stopping container base"}
    preempted = {"reason": "Preempted", "message": "Preempted by pod 1 on node a"}
    assert find_disruption_in_events([killing, preempted]) == "Preempted: Preempted by pod 1 on node a"
    assert find_disruption_in_events([killing]) is None
    assert find_disruption_in_events([{"reason": "OutOfpods"}]) == "OutOfpods"


def test_surest_event_tells_why_a_pod_is_gone():
    """The pod's own limits, then what ended the pod, then a node that was not ready."""
    not_ready = {"reason": "NodeNotReady", "message": "Node is not ready"}
    evicted = {"reason": "TaintManagerEviction", "message": "Marking for deletion Pod alpha/load-1"}
    late = {"reason": "DeadlineExceeded", "message": "Pod was active on the node longer than the specified deadline"}
    over_limit = {"reason": "Evicted", "message": "Pod ephemeral local storage usage exceeds the total limit 1Gi. "}
    for events, reason, is_disruption in [
        ([not_ready], "NodeNotReady", True),
        ([not_ready, evicted], "TaintManagerEviction", True),
        ([evicted, late, not_ready], "DeadlineExceeded", False),
        ([not_ready, over_limit], "Evicted", False),
    ]:
        found = find_termination_in_events(events)
        assert found is not None
        assert (found.reason, found.is_disruption) == (reason, is_disruption)
    assert find_disruption_in_events([late]) is None


def test_cancelled_deletion_is_not_a_disruption():
    cancelled = {"reason": "TaintManagerEviction", "message": "Cancelling deletion of Pod alpha/load-1"}
    assert find_termination_in_events([cancelled]) is None


def test_events_name_the_containers_that_were_started_and_stopped_with_their_pod():
    def event(path: str, message: str, reason: str = "Killing") -> dict[str, object]:
        return {"reason": reason, "message": message, "involvedObject": {"fieldPath": path}}

    events = [
        event("spec.containers{base}", "Stopping container base"),
        event("spec.initContainers{proxy}", "Stopping container proxy"),
        event("spec.containers{probed}", "Container probed failed liveness probe, will be restarted"),
        event("spec.containers{started}", "Started container started", "Started"),
        event("", "Stopping container lost"),
    ]
    assert (find_stopped_containers(events), find_started_containers(events)) == ({"base", "proxy"}, {"started"})
