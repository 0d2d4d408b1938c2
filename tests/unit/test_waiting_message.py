"""Why a program has not started yet."""

from __future__ import annotations

from typing import Any

import pytest

from kpo_platform.pod.state import parse_pod_state
from kpo_platform.pod.waiting_message import describe_wait
from unit.support.pod_statuses import INITIALIZING, RUNNING, WAITING, Json, ended, pod

NO_ROOM = "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 No preemption victims."
BACK_OFF = 'Back-off pulling image "registry.local/load:9"'


def waiting(reason: str, message: str) -> Json:
    return {"waiting": {"reason": reason, "message": message}}


def unscheduled(**condition: Any) -> Json:
    return {"conditions": [{"type": "PodScheduled", "status": "False", **condition}]}


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (
            pod("Pending", **unscheduled(reason="Unschedulable", message=NO_ROOM)),
            f"No node can take the pod (Unschedulable). {NO_ROOM}",
        ),
        (pod("Pending", **unscheduled()), "No node can take the pod (Unschedulable)."),
        (
            pod("Pending", waiting("ImagePullBackOff", BACK_OFF), image="registry.local/load:9"),
            f"Image registry.local/load:9 of container base cannot be pulled (ImagePullBackOff). {BACK_OFF}.",
        ),
        (
            pod("Pending", waiting("CreateContainerConfigError", 'secret "db" not found')),
            'Container base cannot start (CreateContainerConfigError). secret "db" not found.',
        ),
        (
            pod("Pending", INITIALIZING, sidecar=waiting("CrashLoopBackOff", "back-off 10s")),
            "Container proxy cannot start (CrashLoopBackOff). back-off 10s.",
        ),
        (pod("Pending", INITIALIZING, init=RUNNING), "Init container fetch is still running."),
        (
            pod("Pending", WAITING),
            "The node prepares container base (ContainerCreating); the pod's events tell more.",
        ),
        (pod("Pending"), ""),
        (pod("Running", RUNNING, aside=waiting("ErrImagePull", "no")), ""),
        (pod("Failed", ended(1)), ""),
        ({}, ""),
    ],
)
def test_wait_names_its_cause(status: Json, message: str):
    assert describe_wait(parse_pod_state(status), "base") == message
