"""The state of a pod, from the JSON of the Kubernetes API."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import example, given

from kpo_platform.pod.state import Condition, ContainerState, PodState, parse_pod_state
from unit.support.any_json import ANY_JSON, damage

POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {
        "name": "load-3f2a",
        "namespace": "alpha",
        "uid": "5b0c",
        "resourceVersion": "812",
        "creationTimestamp": "2026-11-29T09:00:00Z",
        "deletionTimestamp": "2026-11-29T09:05:30Z",
        "deletionGracePeriodSeconds": 30,
        "labels": {"kpo-platform/team": "alpha"},
        "annotations": {"a": "b"},
    },
    "spec": {
        "nodeName": "node-1",
        "activeDeadlineSeconds": 3600,
        "initContainers": [{"name": "fetch", "image": "git:1"}, {"name": "proxy", "restartPolicy": "Always"}],
        "containers": [
            {"name": "base", "image": "python:3.12", "resources": {"limits": {"memory": "512Mi"}}},
            {"name": "aside", "image": "busybox:1"},
        ],
    },
    "status": {
        "phase": "Running",
        "startTime": "2026-11-29T09:00:01Z",
        "conditions": [
            {
                "type": "DisruptionTarget",
                "status": "True",
                "reason": "EvictionByEvictionAPI",
                "message": "Eviction API: evicting",
                "lastProbeTime": None,
                "lastTransitionTime": "2026-11-29T09:05:00Z",
            }
        ],
        "initContainerStatuses": [
            {
                "name": "fetch",
                "restartCount": 0,
                "state": {
                    "terminated": {
                        "exitCode": 0,
                        "reason": "Completed",
                        "startedAt": "2026-11-29T09:00:02Z",
                        "finishedAt": "2026-11-29T09:00:03Z",
                    }
                },
            },
            {"name": "proxy", "restartCount": 2, "state": {"running": {"startedAt": "2026-11-29T09:00:04Z"}}},
        ],
        "containerStatuses": [
            {
                "name": "base",
                "restartCount": 0,
                "state": {
                    "terminated": {
                        "exitCode": 137,
                        "reason": "OOMKilled",
                        "message": "out of memory",
                        "startedAt": "2026-11-29T09:00:05Z",
                        "finishedAt": "2026-11-29T09:04:00Z",
                    }
                },
            },
            {"name": "aside", "restartCount": 0, "state": {"waiting": {"reason": "ContainerCreating"}}},
        ],
    },
}


def at(minute: int, second: int) -> datetime:
    return datetime(2026, 11, 29, 9, minute, second, tzinfo=UTC)


def test_pod_is_parsed_with_all_its_containers():
    assert parse_pod_state(POD) == PodState(
        name="load-3f2a",
        namespace="alpha",
        uid="5b0c",
        phase="Running",
        is_scheduled=True,
        created_at=at(0, 0),
        started_at=at(0, 1),
        deadline_at=datetime(2026, 11, 29, 10, 0, 1, tzinfo=UTC),
        deletion_requested_at=at(5, 0),
        labels={"kpo-platform/team": "alpha"},
        conditions=(
            Condition("DisruptionTarget", "True", "EvictionByEvictionAPI", "Eviction API: evicting", at(5, 0)),
        ),
        containers=(
            ContainerState(
                name="base",
                phase="terminated",
                reason="OOMKilled",
                message="out of memory",
                exit_code=137,
                started_at=at(0, 5),
                finished_at=at(4, 0),
                memory_limit="512Mi",
            ),
            ContainerState("aside", reason="ContainerCreating"),
            ContainerState(
                name="fetch",
                phase="terminated",
                reason="Completed",
                exit_code=0,
                started_at=at(0, 2),
                finished_at=at(0, 3),
                kind="init",
            ),
            ContainerState("proxy", "running", started_at=at(0, 4), kind="sidecar"),
        ),
        result_limit=3072,
    )


def test_pod_without_node_waits_with_all_its_containers():
    created = {"metadata": {"name": "a"}, "spec": {"containers": [{"name": "base"}]}, "status": {"phase": "Pending"}}
    assert parse_pod_state(created) == PodState(name="a", phase="Pending", containers=(ContainerState("base"),))


def test_unknown_container_is_waiting():
    assert PodState().container("base") == ContainerState("base")
    assert parse_pod_state(POD).container("base").exit_code == 137


def test_condition_is_found_by_its_type():
    state = parse_pod_state(POD)
    assert state.condition("DisruptionTarget") == state.conditions[0]
    assert state.condition("Ready") is None


def test_container_whose_end_nobody_saw_has_not_started():
    unknown = {"exitCode": 137, "reason": "ContainerStatusUnknown", "startedAt": None, "finishedAt": None}
    refused = {"exitCode": 128, "reason": "StartError", "startedAt": "1970-01-01T00:00:00Z"}
    statuses = [{"name": name, "state": {"terminated": state}} for name, state in (("a", unknown), ("b", refused))]
    state = parse_pod_state({"status": {"containerStatuses": statuses}})
    assert [(each.started_at, each.is_terminated, each.has_started) for each in state.containers] == [
        (None, True, False),
        (None, True, True),
    ]


@given(ANY_JSON | damage(POD))
@example({"metadata": {"deletionTimestamp": "2026-11-29T09:00:00Z", "deletionGracePeriodSeconds": 10**20}})
@example({"status": {"containerStatuses": [{"name": "base", "state": {"terminated": {"exitCode": None}}}]}})
def test_no_json_raises(pod: Any):
    assert isinstance(parse_pod_state(pod), PodState)
