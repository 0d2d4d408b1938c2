"""Decide how a pod ended that is gone, from what its trigger has reported and from its events."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kpo_platform.pod.disruption import GONE, NODE_NOT_READY, find_stopped_containers
from kpo_platform.pod.outcome import Outcome, OutcomeKind

SUCCESS, FAILED = "success", "failed"
"""What the stock trigger reports of a program that has ended."""

CANNOT_START = "cannot_start"
"""The key of an event of the platform's trigger that says that the pod can never start; the message says why."""

_FAILURE = "The program failed, and its pod was deleted before its exit code and log were read."


def decide_reported_end(unseen: Outcome, reported: str, events: Iterable[Any], container: str) -> Outcome:
    """Decide how a pod ended of which a process has seen nothing but events.

    The trigger sees an exit code, and not why the program ended: one that is told to stop may end with 0. The events
    say it: the kubelet writes one for each container that it stops with the pod.

    Args:
        unseen: the outcome of the pod by its events alone.
        reported: the status of the trigger's event.
        events: the pod's events.
        container: the name of the container that runs the program.
    """
    stopped = find_stopped_containers(events)
    had_ended = bool(stopped) and container not in stopped  # the pod was stopped later
    is_unexplained = unseen.reason == GONE or (reported == SUCCESS and unseen.reason == NODE_NOT_READY)
    if not had_ended and not is_unexplained:
        return unseen
    if reported == SUCCESS:
        return Outcome(OutcomeKind.SUCCEEDED, "Completed", 0)
    if reported == FAILED:
        return Outcome(OutcomeKind.FAILED, "Error", message=_FAILURE)
    return unseen
