"""Disruptions by the cluster, as opposed to failures of the program."""

from __future__ import annotations

from typing import Any

import pytest

from kpo_platform.pod.disruption import find_disruption, find_disruption_in_events


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
    assert find_disruption(pod) == "it was deleted"


def test_events_of_a_deleted_pod_identify_a_disruption():
    killing = {"reason": "Killing", "message": "Stopping container base"}
    preempted = {"reason": "Preempted", "message": "Preempted by pod 1 on node a"}
    assert find_disruption_in_events([killing, preempted]) == "Preempted: Preempted by pod 1 on node a"
    assert find_disruption_in_events([killing]) is None
    assert find_disruption_in_events([{"reason": "OutOfpods"}]) == "OutOfpods"
