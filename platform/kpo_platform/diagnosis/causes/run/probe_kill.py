"""Containers that the kubelet has killed while their pod runs on, mostly because of a probe."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta

from kpo_platform.diagnosis.facts import Facts
from kpo_platform.diagnosis.signals import Signal
from kpo_platform.pod.disruption import find_termination
from kpo_platform.pod.json_fields import read_text
from kpo_platform.pod.state import ContainerState

_KILL = re.compile(r"^(?:Killing|Init container|Container)\b.*?failed (liveness|startup) probe", re.IGNORECASE)
_FAILED_PROBE = re.compile(r"^(Liveness|Startup) probe (?:failed|errored)[^:]*: ?(.*)", re.DOTALL)
_WITH_POD = "Stopping container"
_NAMED = re.compile(r"[Cc]ontainer (?:with id \S+?://)?([\w.-]+)")
_KILLED_CODES = (137, 143)
_CLOCK_SKEW = timedelta(seconds=5)
_RECENT = timedelta(hours=1)

CRASH_LOOP = "CrashLoopBackOff"
"""The kubelet's reason for a container that has ended and waits for its next start."""


@dataclass(frozen=True)
class Kill:
    """A container that the kubelet has killed.

    Attributes:
        signal: the event that tells it.
        probe: ``liveness`` or ``startup``; empty if it was something else.
        detail: what the probe has answered.
    """

    signal: Signal
    probe: str = ""
    detail: str = ""


def find_kill(facts: Facts, ended: ContainerState) -> Kill | None:
    """Find whether the kubelet has killed a container, other than with its pod or for lack of memory.

    Args:
        facts: what is known about the pod.
        ended: the container, in its present state or in that of its former end.
    """
    if ended.reason == "OOMKilled":
        return None
    events = [each for each in facts.select(["Killing", "Unhealthy"]) if _is_about(each, ended)]
    kills = [each for each in events if each.reason == "Killing"]
    failures = [match for each in events if each.reason == "Unhealthy" and (match := _FAILED_PROBE.match(each.message))]
    kill = next((each for each in kills if not each.message.startswith(_WITH_POD)), None)
    if kill is not None:
        probe = match[1].lower() if (match := _KILL.match(kill.message)) else ""
        details = (each[2] for each in failures if each[1].lower() == probe)
        return Kill(kill, probe, next(details, ""))
    # A container that is not started again is stopped with its pod; the event of the kill may be lost, too.
    is_stopped_otherwise = bool(kills) and find_termination(facts.state) is not None
    if is_stopped_otherwise or not failures or ended.exit_code not in _KILLED_CODES:
        return None
    signal = next(each for each in events if each.message == failures[0].string)
    return Kill(signal, failures[0][1].lower(), failures[0][2])


def find_recent_end(facts: Facts, container: ContainerState) -> ContainerState | None:
    """Find the last end of a container that waits for its next start, or has started again within an hour."""
    if container.is_terminated and will_restart(facts, container):
        return container  # the kubelet says some seconds later that it waits
    former = facts.former_state.container(container.name)
    if not former.is_terminated or former.is_lost or container.is_terminated:
        return None
    is_recent = former.finished_at is not None and facts.now - former.finished_at < _RECENT
    return former if container.reason == CRASH_LOOP or (container.phase == "running" and is_recent) else None


def will_restart(facts: Facts, container: ContainerState) -> bool:
    """Tell whether the kubelet will start a container that has ended again."""
    if facts.state.has_ended or facts.state.deletion_requested_at or container.is_lost:
        return False
    if container.kind == "sidecar":
        return facts.program.phase == "running"
    policy = read_text(facts.spec.get("restartPolicy"))
    return policy == "Always" or (policy == "OnFailure" and container.exit_code != 0)


def _is_about(signal: Signal, ended: ContainerState) -> bool:
    """Tell whether an event is about this run of a container."""
    named = signal.container or (match[1] if (match := _NAMED.search(signal.message)) else "")
    if signal.source != "event" or signal.about is not None or named != ended.name:
        return False
    skew = timedelta() if ended.phase == "running" else _CLOCK_SKEW  # else it is about the former run
    is_early = signal.seen_at and ended.started_at and ended.started_at - signal.seen_at > skew
    is_late = signal.seen_at and ended.finished_at and signal.seen_at - ended.finished_at > _CLOCK_SKEW
    return not is_early and not is_late
