"""Ends of pods that their programs did not decide: disruptions by the cluster, deadlines, limits and refusals."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from kpo_platform.pod.json_fields import read_object, read_text
from kpo_platform.pod.merge import Json
from kpo_platform.pod.state import ContainerState, PodState

DEADLINE = "DeadlineExceeded"
"""The kubelet's reason for a pod whose ``activeDeadlineSeconds`` have passed."""

DELETED, GONE, LOST, NOT_STARTED = "Deleted", "Gone", "ContainerStatusUnknown", "NotStarted"
"""Reasons of ends for which the status of the pod has none."""

_ENDED_BY_NODE = frozenset({"Evicted", "NodeLost", "NodeShutdown", "Preempting", "Shutdown", "Terminated"})
"""Values of ``status.reason`` if the kubelet or the node controller ended the pod."""

_REFUSED = frozenset(
    {
        *("InvalidNodeInfo", "NodeAffinity", "NodeName", "NodePorts", "TaintToleration", "TopologyAffinityError"),
        *("UnexpectedAdmissionError", "UnexpectedPredicateFailureType", "UnknownReason"),
        "VolumeAttachmentLimitExceeded",
    }
)
"""Values of ``status.reason`` if the kubelet refused the pod because of its node's state; ``OutOf…`` too.

Another start can help. After its own restart the kubelet checks running pods too.
"""

OUT_OF = "OutOf"
"""Start of the kubelet's reasons for lack of room: OutOfcpu, OutOfpods, OutOfephemeral-storage, OutOfnvidia.com/gpu."""

_UNSUPPORTED = frozenset({"AppArmor", "PodOSSelectorNodeLabelDoesNotMatch", "SMTAlignmentError"})
_UNSUPPORTED_SUFFIXES = ("NotSupported", "Unsupported", "Forbidden")
"""Values of ``status.reason``, also their ends, if the kubelet refused what the pod asks for; no start can help."""

_BY_DELETION = frozenset(
    {"DeletionByPodGC", "DeletionByTaintManager", "EvictionByEvictionAPI", "PreemptionByScheduler"}
)
"""Reasons of the condition ``DisruptionTarget`` that is set before a deletion, which may fail or come later."""

NODE_NOT_READY = "NodeNotReady"
"""Reason of an event that may precede the loss of a pod, or the return of its node."""

_EVENTS = frozenset({"Evicted", NODE_NOT_READY, "Preempted", "Preempting", "TaintManagerEviction"})
"""Reasons of events about a pod that no longer exists."""

_CANCELLED = "Cancelling deletion"
"""Start of the message of a ``TaintManagerEviction`` that does not take place."""

_STOPPING = "Stopping container"
"""Start of the kubelet's message when it ends a container with its pod; a failed probe has another one."""

_CONTAINER_PATH = re.compile(r"spec\.(?:c|initC)ontainers\{(.+)\}")

_EXCEEDED_LIMIT = re.compile(r"exceed(s|ed) .*limit")
"""Message of an eviction because the pod exceeded its own limit of ephemeral storage."""

_CLOCK_SKEW = timedelta(seconds=2)
"""Tolerated difference of the clocks of a node and the control plane; times have whole seconds."""

_NOT_YET = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Termination:
    """An end of a pod that its program did not decide, in Kubernetes' words.

    Attributes:
        since: when it began; None if unknown. What ended earlier ended by itself.
        is_disruption: whether the cluster is the cause, so that another start can help, and not the pod's own
            deadline, limits or demands.
    """

    reason: str
    message: str = ""
    since: datetime | None = None
    is_disruption: bool = True

    def ended(self, container: ContainerState) -> bool:
        """Whether a terminated container ended because of this, as far as its times tell."""
        if self.since is None or container.finished_at is None:
            return True
        # Not `since - _CLOCK_SKEW`: the difference of two times never overflows.
        return self.since - container.finished_at < _CLOCK_SKEW


def find_termination(state: PodState) -> Termination | None:
    """Find what ended a pod, or is ending it, other than its program and its task; None if the program alone decides.

    Since Kubernetes 1.26 the control plane adds the condition ``DisruptionTarget`` to a disrupted pod (KEP-3329); the
    kubelet sets a reason.
    """
    if cause := _find_own_limit(state) or _find_condition(state):
        return cause
    if state.reason in _ENDED_BY_NODE or is_refusal(state.reason):
        return Termination(state.reason, state.message)
    return Termination(DELETED, since=state.deletion_requested_at) if state.deletion_requested_at else None


def find_termination_in_events(events: Iterable[Any]) -> Termination | None:
    """Find what ended a pod that is gone in its events, which may have any shape; a node that was not ready is last."""
    causes = [cause for event in _read_events(events) if (cause := _find_cause(event))]
    return min(causes, key=lambda cause: cause.is_disruption + (cause.reason == NODE_NOT_READY), default=None)


def find_stopped_containers(events: Iterable[Any]) -> frozenset[str]:
    """Find the containers that the kubelet ended with their pod in its events: none that had ended by itself before."""
    return _find_containers(events, "Killing", _STOPPING)


def find_started_containers(events: Iterable[Any]) -> frozenset[str]:
    """Find the containers that the kubelet started in the events of their pod."""
    return _find_containers(events, "Started")


def read_container_name(about: Json) -> str:
    """Return the name of the container that the `involvedObject` of an event is about; empty if it is the pod."""
    path = _CONTAINER_PATH.fullmatch(read_text(about.get("fieldPath")))
    return path[1] if path else ""


def is_refusal(reason: str) -> bool:
    """Tell whether a ``status.reason`` says that the kubelet refused the pod because of its node's state."""
    return reason in _REFUSED or reason.startswith(OUT_OF)


def _find_own_limit(state: PodState) -> Termination | None:
    if state.reason == DEADLINE:
        return Termination(DEADLINE, state.message, state.deadline_at, is_disruption=False)
    if state.reason == "Evicted" and _EXCEEDED_LIMIT.search(state.message):
        condition = state.condition("DisruptionTarget")
        since = condition.changed_at if condition else None
        return Termination(state.reason, state.message, since, is_disruption=False)
    if state.reason in _UNSUPPORTED or state.reason.endswith(_UNSUPPORTED_SUFFIXES):
        return Termination(state.reason, state.message, is_disruption=False)
    return None


def _find_condition(state: PodState) -> Termination | None:
    condition = state.condition("DisruptionTarget")
    if condition is None or condition.status != "True":
        return None
    since, deleted_at = condition.changed_at, state.deletion_requested_at
    if condition.reason in _BY_DELETION:
        since = deleted_at or _NOT_YET
    elif since and deleted_at:
        since = min(since, deleted_at)
    # The kubelet's condition has one reason for all causes; its status says more.
    reason = state.reason if state.reason in _ENDED_BY_NODE else condition.reason
    return Termination(reason or condition.type, condition.message or state.message, since)


def _read_events(events: Any) -> Iterable[Json]:
    return map(read_object, events if isinstance(events, Iterable) else ())


def _find_containers(events: Iterable[Any], reason: str, message: str = "") -> frozenset[str]:
    """Find the containers of events that have this reason, and a message that begins so."""
    found = set()
    for event in _read_events(events):
        name = read_container_name(read_object(event.get("involvedObject")))
        if name and event.get("reason") == reason and read_text(event.get("message")).startswith(message):
            found.add(name)
    return frozenset(found)


def _find_cause(event: Json) -> Termination | None:
    """Find the end of a pod that one event names."""
    reason, message = read_text(event.get("reason")), read_text(event.get("message"))
    if reason == DEADLINE or (reason == "Evicted" and _EXCEEDED_LIMIT.search(message)):
        return Termination(reason, message, is_disruption=False)
    if reason in _EVENTS or is_refusal(reason):
        return None if message.startswith(_CANCELLED) else Termination(reason, message)
    return None
