"""Pod disruptions: eviction, preemption, deletion and lost nodes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from kpo_platform.pod.merge import Json

_REASONS = frozenset({"Evicted", "NodeAffinity", "NodeLost", "NodeShutdown", "Preempting", "Shutdown", "Terminated"})
"""Values of ``status.reason`` if the kubelet or the node controller terminated the pod."""

_EVENTS = frozenset({"Evicted", "NodeNotReady", "Preempted", "Preempting", "TaintManagerEviction"})
"""Reasons of events about a pod that no longer exists."""

_EXCEEDED_LIMIT = re.compile(r"exceed(s|ed) .*limit")
"""Message of an eviction because a container exceeded its own limit of ephemeral storage."""


def find_disruption(pod: Json) -> str | None:
    """Describe how the cluster disrupted a pod.

    Since Kubernetes 1.26 the control plane adds the condition ``DisruptionTarget`` to a disrupted pod (KEP-3329); the
    kubelet sets a reason.

    Args:
        pod: the v1 Pod before its task deletes it; a deletion timestamp is therefore a disruption.

    Returns:
        The disruption; None if the program or its own limits ended the pod.
    """
    status = pod.get("status") or {}
    reason = status.get("reason")
    if _EXCEEDED_LIMIT.search(str(status.get("message"))):
        return None
    for condition in status.get("conditions") or []:
        if condition.get("type") == "DisruptionTarget" and condition.get("status") == "True":
            return _format_reason(condition.get("reason") or "DisruptionTarget", condition.get("message"))
    if (pod.get("metadata") or {}).get("deletionTimestamp"):
        return "it was deleted"
    return _format_reason(reason, status.get("message")) if reason in _REASONS else None


def find_disruption_in_events(events: Iterable[Json]) -> str | None:
    """Describe the disruption of a deleted pod by its events; None if no event reports one."""
    for event in events:
        if event.get("reason") in _EVENTS:
            return _format_reason(event["reason"], event.get("message"))
    return None


def _format_reason(reason: str, message: Any) -> str:
    return f"{reason}: {message}" if message else reason
