"""Kills of tasks' processes at every phase of a run, and the count of work that was lost or done twice."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import cast

from common.errors import ScriptError
from faults.case_run import CaseRun
from faults.fault import Fault, Hold
from faults.ledger import END, START
from faults.scene import Scene
from faults.task_processes import Signal, read_scheduler_address

FILE, DAG = "run_kills.py", "kills"
"""The DAG file of the kills, and its DAG without the prefix: its tasks are called KIND-PHASE-SIGNAL-COPY."""

RESULT = {"lines": 20}
"""The result of the tasks that have one."""

_PHASE_S = 900.0
_END_S = 600.0

_HELD = {
    "creating": ("create pods", False),
    "created": ("create pods", True),
    "pending": ("delete pods", False),
    "running": ("delete pods", False),
    "log": ("get pods/log", True),
    "result": ("get pods/exec", False),
    "deleting": ("delete pods", False),
    "deleted": ("delete pods", True),
    "reentry": ("get pods", False),
}
"""Phase → the request that is held, and whether the API server has received it.

The process is killed during this request; in the phases `pending` and `running` before it, and the request only keeps a
process alive that is killed late. Before a deferral, a worker creates its pod and does not look at it.
"""


@dataclass(frozen=True)
class Tally:
    """The work of killed tasks.

    Attributes:
        kills: the number of kills.
        failed: the tasks that did not succeed, with their state.
        lost: the tasks that succeeded without their work or its result.
        doubled: the tasks whose work was done more than once.
        missed: the tasks that ended before they could be killed, with the reason.
        running: the number of pods that still run after the end of their tasks.
    """

    kills: int
    failed: dict[str, str]
    lost: list[str]
    doubled: list[str]
    missed: dict[str, str]
    running: int = 0


def kill_every_task(scene: Scene) -> Tally:
    """Run the DAG of kills once and kill each of its tasks once, at its phase."""
    scheduler = read_scheduler_address(scene.stack)
    with ExitStack() as cleanup:
        victims = [_Victim(scene, task, scheduler, cleanup) for task in scene.list_task_ids(DAG)]
        run = scene.start(DAG)
        cleanup.callback(run.discard)
        with ThreadPoolExecutor(len(victims)) as pool:
            missed = dict(filter(None, pool.map(lambda victim: victim.kill(run), victims)))
        outcomes = run.wait_for_outcomes(_END_S)
        states, ledger = {task: outcome.state for task, outcome in outcomes.items()}, run.read_ledger()
        ended = [task for task, state in states.items() if "-result-" in task and state == "success"]
        without_result = [task for task in ended if run.read_result(task) != RESULT]
        return Tally(
            kills=len(victims) - len(missed),
            failed={task: state for task, state in states.items() if state != "success"},
            lost=sorted({*ledger.find_lost(states), *without_result}),
            doubled=ledger.find_doubled(),
            missed=missed,
            running=sum(outcome.running for outcome in outcomes.values()),
        )


class _Victim:
    """A task that is killed at a phase; the request of that phase is held from before the run's start."""

    def __init__(self, scene: Scene, task: str, scheduler: str, cleanup: ExitStack) -> None:
        _, self.phase, signal, _ = task.split("-")
        self.task, self.signal = task, cast(Signal, signal)
        self.hold: Hold | None = None
        if self.phase in _HELD:
            requests, is_delivered = _HELD[self.phase]
            self.hold = Hold(is_delivered)
            # A trigger asks about the pod, too; only the process in the scheduler's pod can be killed.
            fault = Fault(requests, self.hold, task=f"{scene.dag_id(DAG)}.{task}", client=scheduler)
            cleanup.enter_context(scene.proxy.inject(fault))
            cleanup.callback(self.hold.release)

    def kill(self, run: CaseRun) -> tuple[str, str] | None:
        """Wait for the phase and kill the process; return the task and the reason if that failed."""
        try:
            self._wait_for_phase(run)
            run.kill(self.task, self.signal)
        except ScriptError as error:
            return self.task, str(error)
        finally:
            if self.hold is not None:
                self.hold.release()
        return None

    def _wait_for_phase(self, run: CaseRun) -> None:
        if self.phase == "before":
            run.wait_for_state(self.task, "running", deadline_s=_PHASE_S)
        elif self.phase == "pending":
            run.wait_for_pod(self.task, "Pending", deadline_s=_PHASE_S)
        elif self.phase == "running":
            run.wait_for_events(START, [self.task], deadline_s=_PHASE_S)
        elif self.hold is not None:
            self.hold.wait_until_reached(_PHASE_S, lambda: run.describe_state(self.task))
        if self.phase == "log":
            run.wait_for_events(END, [self.task], deadline_s=_PHASE_S)
