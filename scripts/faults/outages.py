"""Outages of the API server while tasks start, run and end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from faults.api_server import freeze_api_server, stop_api_server
from faults.case_run import CaseRun, Outcome
from faults.fault import Answer, Fault
from faults.scene import TASKS, Scene

Begin = Callable[[Scene], AbstractContextManager[None]]

RUNS = {"ends_meanwhile": "outage_short", "runs": "outage_long", "starts": "outage_late"}
"""What the tasks of a run do during an outage → name of their DAG without the prefix."""

RESULT = {"rows": 3}
"""The result of the tasks that end during the outage."""

_END_S = 400.0


@dataclass(frozen=True)
class Outage:
    """An outage.

    Attributes:
        title: the outage in words, for the page.
        begin: begins it; ends with the block.
        seconds: how long it lasts.
    """

    title: str
    begin: Begin
    seconds: float


@dataclass(frozen=True)
class Endured:
    """The end of the runs that saw an outage.

    Attributes:
        outcomes: the outcome of each task by `RUN.TASK`, such as `runs.sync`.
        logs: the log of each task by the same name.
        results: the results of the tasks that have one.
    """

    outcomes: dict[str, Outcome]
    logs: dict[str, str] = field(repr=False)
    results: dict[str, Any] = field(default_factory=dict)


def endure_outage(scene: Scene, outage: Outage) -> Endured:
    """Start runs before and during an outage, and return what came of them.

    Args:
        scene: the place.
        outage: the outage.
    """
    runs = {name: scene.start(RUNS[name]) for name in ("runs", "ends_meanwhile")}
    try:
        for run in runs.values():
            run.wait_for_starts(*TASKS)
        with outage.begin(scene):
            end = time.monotonic() + outage.seconds
            runs["starts"] = scene.start(RUNS["starts"])
            time.sleep(max(0.0, end - time.monotonic()))
        return _read_end(runs)
    finally:
        for run in runs.values():
            run.discard()


def _read_end(runs: dict[str, CaseRun]) -> Endured:
    outcomes = {
        f"{name}.{task}": outcome
        for name, run in runs.items()
        for task, outcome in run.wait_for_outcomes(_END_S).items()
    }
    logs = {f"{name}.{task}": run.read_log(task) for name, run in runs.items() for task in TASKS}
    return Endured(outcomes, logs, {task: runs["ends_meanwhile"].read_result(task) for task in TASKS})


def _freeze(_: Scene) -> AbstractContextManager[None]:
    return freeze_api_server()


def _stop(_: Scene) -> AbstractContextManager[None]:
    return stop_api_server()


def _answer(status: int, retry_after: str = "") -> Begin:
    """Return an outage in which the proxy answers every request with a status."""

    @contextmanager
    def begin(scene: Scene) -> Iterator[None]:
        with scene.proxy.inject(Fault("*", Answer(status, retry_after))):
            yield

    return begin


OUTAGES = {
    "frozen-25": Outage("API server frozen for 25 s", _freeze, 25),
    "frozen-100": Outage("API server frozen for 100 s", _freeze, 100),
    "killed-30": Outage("API server killed, back after 30 s", _stop, 30),
    "killed-300": Outage("API server killed, back after 5 minutes", _stop, 300),
    "status-503": Outage("API server answers 503 for 70 s (by a proxy)", _answer(503), 70),
    "status-429": Outage("API server answers 429 with Retry-After for 70 s (by a proxy)", _answer(429, "5"), 70),
    "refused": Outage("API server refuses connections for 70 s (by a proxy)", lambda scene: scene.proxy.refusing(), 70),
}
"""Name of the outage → outage. A stock trigger gives up after about 49 s."""
