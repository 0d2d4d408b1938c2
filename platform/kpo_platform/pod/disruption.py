"""Why a pod ended through no fault of its program: evicted, preempted, or its node was lost."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from kpo_platform.pod.merge import Json

_REASONS = frozenset({"Evicted", "NodeAffinity", "NodeLost", "NodeShutdown", "Preempting", "Shutdown", "Terminated"})
"""``status.reason`` of pods that the kubelet or the node controller ended."""

_EVENTS = frozenset({"Evicted", "NodeNotReady", "Preempted", "Preempting", "TaintManagerEviction"})
"""Reasons of events about a pod that went before its end could be read."""

_OWN_LIMIT = re.compile(r"exceed(s|ed) .*limit")
"""The kubelet also calls it an eviction when a container fills the disk beyond its own limit."""


def find_disruption(pod: Json) -> str | None:
    """What the cluster did to the pod, or None where its program, or its author's limits, ended it.

    Since Kubernetes 1.26 whoever disrupts a pod says so in its condition ``DisruptionTarget`` (KEP-3329); a kubelet
    that ends a pod says so in its reason.

    Args:
        pod: a v1 Pod as it was last seen, before its task removes it: whoever deleted it, it was not the task.
    """
    status = pod.get("status") or {}
    reason = status.get("reason")
    if _OWN_LIMIT.search(str(status.get("message"))):
        return None
    for condition in status.get("conditions") or []:
        if condition.get("type") == "DisruptionTarget" and condition.get("status") == "True":
            return _sentence(condition.get("reason") or "DisruptionTarget", condition.get("message"))
    if (pod.get("metadata") or {}).get("deletionTimestamp"):
        return "it was deleted"
    return _sentence(reason, status.get("message")) if reason in _REASONS else None


def find_disruption_in_events(events: Iterable[Json]) -> str | None:
    """What the cluster did to a pod that is gone, as far as its events tell."""
    for event in events:
        if event.get("reason") in _EVENTS:
            return _sentence(event["reason"], event.get("message"))
    return None


def _sentence(reason: str, message: Any) -> str:
    return f"{reason}: {message}" if message else reason
