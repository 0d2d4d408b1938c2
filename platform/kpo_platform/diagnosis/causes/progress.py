"""How far the cluster has come with a pod: the problem of an earlier step is over."""

from __future__ import annotations

from dataclasses import replace

from kpo_platform.diagnosis.facts import Facts
from kpo_platform.diagnosis.signals import Signal

_CREATING = ("", "ContainerCreating", "PodInitializing")
_PROGRESS = ("Pulling", "Pulled", "Created", "Started")

_LONGEST = 4096
"""As the longest message of a container's end; more is not read, because patterns take longer than in proportion."""


def cut(signal: Signal) -> Signal:
    """Keep the end of a message that is too long, which tells most."""
    return replace(signal, message=signal.message[-_LONGEST:]) if len(signal.message) > _LONGEST else signal


def is_prepared(facts: Facts, signal: Signal) -> bool:
    """Whether the node has mounted the volumes and made the network of a pod since an event that says otherwise."""
    states = facts.state.containers
    if any(each.has_started or (each.phase == "waiting" and each.reason not in _CREATING) for each in states):
        return True
    ready = facts.state.condition("PodReadyToStartContainers")
    if ready is not None and ready.status == "True":
        return True
    times = [each.seen_at for each in facts.select(_PROGRESS) if each.about is None and each.seen_at]
    return signal.seen_at is not None and any(time >= signal.seen_at for time in times)


def is_young(facts: Facts, seconds: float) -> bool:
    """Whether a pod was created less than some seconds ago: what it waits for may be under way."""
    created_at = facts.state.created_at
    return created_at is not None and (facts.now - created_at).total_seconds() < seconds
