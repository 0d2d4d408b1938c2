"""Pods with statuses as Kubernetes 1.30 and later writes them."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

STARTED, ENDED, LATER = "2026-11-29T09:00:05Z", "2026-11-29T09:10:00Z", "2026-11-29T09:20:00Z"
_GRACE_S, _LATER_WITH_GRACE = 30, "2026-11-29T09:20:30Z"

UNSEEN = {
    "exitCode": 137,
    "reason": "ContainerStatusUnknown",
    "message": "The container could not be located when the pod was terminated",
    "startedAt": None,
    "finishedAt": None,
}
"""The state of a container whose end the kubelet did not see."""

WAITING = {"waiting": {"reason": "ContainerCreating"}}
INITIALIZING = {"waiting": {"reason": "PodInitializing"}}
RUNNING = {"running": {"startedAt": STARTED}}


def ended(code: int, at: str | None = ENDED, reason: str = "", **fields: Any) -> Json:
    """The state of a container that ended with this exit code."""
    reason = reason or ("Error" if code else "Completed")
    return {"terminated": {"exitCode": code, "reason": reason, "startedAt": STARTED, "finishedAt": at, **fields}}


def target(reason: str, message: str, at: str | None = LATER) -> Json:
    """A status with the condition of a disrupted pod."""
    condition = {"type": "DisruptionTarget", "status": "True", "reason": reason, "message": message}
    return {"conditions": [{**condition, "lastProbeTime": None, "lastTransitionTime": at}]}


def pod(
    phase: str,
    base: Json | None = None,
    *,
    init: Json | None = None,
    sidecar: Json | None = None,
    aside: Json | None = None,
    deleted: bool = False,
    deadline_s: int | None = None,
    image: str = "python:3.12",
    **status: Any,
) -> Json:
    """Build a pod with the program ``base`` and optional other containers, each with its state.

    Args:
        phase: the phase.
        base: the state of ``base``; None if the kubelet never reported containers.
        init: the state of the init container ``fetch``.
        sidecar: the state of the native sidecar ``proxy``.
        aside: the state of the ordinary sidecar ``aside``.
        deleted: whether the deletion was requested, at `LATER`.
        deadline_s: ``activeDeadlineSeconds``.
        image: the image of ``base``.
        status: further fields of the status.
    """
    metadata: Json = {"name": "load-1", "namespace": "alpha", "uid": "5b0c"}
    if deleted:
        metadata |= {"deletionTimestamp": _LATER_WITH_GRACE, "deletionGracePeriodSeconds": _GRACE_S}
    program = {"name": "base", "image": image, "resources": {"limits": {"memory": "512Mi"}}}
    inits: list[tuple[Json, Json | None]] = [
        ({"name": "fetch"}, init),
        ({"name": "proxy", "restartPolicy": "Always"}, sidecar),
    ]
    mains: list[tuple[Json, Json | None]] = [(program, base), ({"name": "aside"}, aside)]
    return {
        "metadata": metadata,
        "spec": {
            "nodeName": "node-1",
            "activeDeadlineSeconds": deadline_s,
            "initContainers": [spec for spec, state in inits if state],
            "containers": [spec for spec, state in mains if state or spec["name"] == "base"],
        },
        "status": {
            "phase": phase,
            "startTime": "2026-11-29T09:00:00Z",
            "initContainerStatuses": [{"name": spec["name"], "state": state} for spec, state in inits if state],
            "containerStatuses": [{"name": spec["name"], "state": state} for spec, state in mains if state],
            **status,
        },
    }
