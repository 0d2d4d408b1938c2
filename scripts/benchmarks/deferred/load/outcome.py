"""How the tasks of a run have ended: when the end of a pod was seen, and what was lost, doubled or late."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.sync.percentiles import find_percentile

LATE_S = 60.0
"""Seconds after which an end is late."""


@dataclass(frozen=True)
class Observations:
    """What was observed of the tasks of a run, by map index.

    Attributes:
        ended: the time at which the bench's watch received the end of the pod.
        pods: how many pods the task had.
        fired: the times of the events that the task's trigger fired, by its log.
        recorded: the time of Airflow's record of the task's end, or of its resumption by a worker.
        states: the state of every task, and the number of its try.
    """

    ended: Mapping[int, float]
    pods: Mapping[int, int]
    fired: Mapping[int, Sequence[float]]
    recorded: Mapping[int, float]
    states: Mapping[int, tuple[str, int]]


def judge(seen: Observations) -> dict[str, Any]:
    """Return the delays in seconds and the counts.

    `seen` is the time from the end of a pod to the event of its trigger, `recorded` that to Airflow's record. Lost is
    a task without such a record, or whose pod was not seen to end; doubled is one with two pods, events or tries.
    """
    tasks = seen.states.keys()
    events = {index: seen.fired.get(index, ()) for index in tasks}
    known = [index for index in tasks if index in seen.ended and index in seen.recorded]
    return {
        "tasks": len(tasks),
        "states": dict(Counter(state for state, _ in seen.states.values())),
        "seen": summarize([events[index][0] - seen.ended[index] for index in known if events[index]]),
        "recorded": summarize([seen.recorded[index] - seen.ended[index] for index in known]),
        "lost": len(tasks) - len(known),
        "doubled": sum(
            len(events[index]) > 1 or seen.pods.get(index, 0) > 1 or seen.states[index][1] > 1 for index in tasks
        ),
        "late": sum(seen.recorded[index] - seen.ended[index] > LATE_S for index in known),
    }


def summarize(seconds: Sequence[float]) -> dict[str, float]:
    """Return median, p99 and maximum; nothing without values."""
    if not seconds:
        return {}
    percentiles = {"p50": statistics.median(seconds), "p99": find_percentile(seconds, 0.99), "max": max(seconds)}
    return {name: round(value, 3) for name, value in percentiles.items()}
