"""Faults of a task's run, each with what causes it and what must come of it.

The group `run` plays them with TeamPodOperator, the benchmark `faults` also with the stock operator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field

from faults import stopped_tasks, unusual_pods
from faults.case_run import CaseRun, Outcome
from faults.scene import Scene

Act = Callable[[Scene, CaseRun, ExitStack], None]
"""Causes a fault in a run that has just been triggered; what the stack cleans up lasts until the run's end."""

_AT_A_TIME = 4

DONE = Outcome("success")
FAILED = Outcome("failed", ends=0)


@dataclass(frozen=True)
class Case:
    """A fault.

    Attributes:
        title: the fault in words, for the page.
        act: causes it.
        expected: the outcome of each task.
        issues: numbers of apache/airflow's issues about the stock operator's behaviour.
        deadline_s: seconds in which the run must end after the fault.
        is_exclusive: whether the fault also affects the tasks of other runs.
    """

    title: str
    act: Act
    expected: Mapping[str, Outcome]
    issues: tuple[int, ...] = ()
    deadline_s: float = 300
    is_exclusive: bool = False


@dataclass(frozen=True)
class Played:
    """A case that has been played.

    Attributes:
        outcomes: the outcome of each task.
        logs: the log of each task.
        problem: why the fault could not be caused to its end; empty if it was.
    """

    outcomes: dict[str, Outcome]
    logs: dict[str, str] = field(repr=False)
    problem: str = ""


def play_case(scene: Scene, name: str) -> Played:
    """Cause the fault of a case and return what came of it; delete the run's pods.

    Args:
        scene: the place of the case.
        name: a key of `CASES`, and the name of a DAG without its prefix.
    """
    case, run = CASES[name], scene.start(name)
    try:
        with ExitStack() as cleanup:
            problem = _cause_fault(case, scene, run, cleanup)
            outcomes = run.wait_for_outcomes(case.deadline_s)
        return Played(outcomes, {task: run.read_log(task) for task in outcomes}, problem)
    finally:
        run.discard()


def play_cases(scene: Scene, names: Iterable[str]) -> dict[str, Played]:
    """Play cases, several at a time; those that affect other runs at last, one by one."""
    ordered = sorted(names, key=lambda name: CASES[name].is_exclusive)
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        shared = {name: pool.submit(_try_case, scene, name) for name in ordered if not CASES[name].is_exclusive}
        played = {name: future.result() for name, future in shared.items()}
    return played | {name: _try_case(scene, name) for name in ordered if CASES[name].is_exclusive}


def _try_case(scene: Scene, name: str) -> Played:
    """Play a case; a case that cannot be played is a problem of this one only."""
    try:
        return play_case(scene, name)
    except Exception as error:
        return Played({}, {}, f"{type(error).__name__}: {error}")


def _cause_fault(case: Case, scene: Scene, run: CaseRun, cleanup: ExitStack) -> str:
    """Cause a fault; return why that failed: a task that ended early is an outcome, too."""
    try:
        case.act(scene, run, cleanup)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def _do_nothing(*_: object) -> None:
    """The fault is in the DAG."""


def _for_both(outcome: Outcome) -> dict[str, Outcome]:
    return {"sync": outcome, "deferred": outcome}


CASES: dict[str, Case] = {
    "cleared": Case(
        "Task cleared; its program exits 0 on SIGTERM",
        stopped_tasks.clear_running_tasks,
        _for_both(Outcome("success", attempts=2, starts=2)),
    ),
    "stopped": Case(
        'Task stopped by its user, pod kept running (`on_kill_action="keep_pod"`), then cleared (sync)',
        stopped_tasks.stop_and_clear_tasks,
        {"sync": Outcome("success", attempts=2, starts=2, ends=2)},
    ),
    "ended": Case(
        "Worker shut down; pod ends before the task restarts",
        stopped_tasks.end_pods_without_worker,
        _for_both(DONE),
        (73006, 71202),
    ),
    "lost_answer": Case("Answer of the pod's creation lost (by a proxy)", unusual_pods.lose_answers, _for_both(DONE)),
    "early": Case(
        "Task stopped before it creates its pod",
        stopped_tasks.stop_before_execute,
        _for_both(Outcome("failed", starts=0, ends=0)),
    ),
    "trigger_timeout": Case(
        "Task times out while no triggerer runs (deferred)",
        stopped_tasks.stop_triggerer,
        {"deferred": FAILED},
        is_exclusive=True,
    ),
    "sidecar": Case("Pod with an ordinary sidecar", _do_nothing, _for_both(DONE), (39693,), deadline_s=180),
    "kept_sidecar": Case("Kept pod with an ordinary sidecar", _do_nothing, _for_both(DONE), (39693,), deadline_s=180),
    "cut_log": Case(
        "Log stream cut in the middle of a line (by a proxy)", unusual_pods.cut_logs, _for_both(DONE), (33498,)
    ),
    "whole_log": Case("Log without a fault", _do_nothing, _for_both(DONE), (33498,)),
    "init_log": Case(
        "Slow init container with a log (sync)", unusual_pods.read_log_of_init_container, {"sync": DONE}, (72504,)
    ),
    "collected": Case(
        "Program failed, then its pod was deleted (deferred)", unusual_pods.delete_failed_pod, {"deferred": FAILED}
    ),
    "twin": Case(
        "Two pods with the task's labels when its worker restarts (sync)",
        unusual_pods.add_twin,
        {"sync": DONE},
    ),
    "skip_code": Case(
        "Evicted pod exits with a code of skip_on_exit_code",
        unusual_pods.evict_pods,
        _for_both(Outcome("success", starts=2)),
    ),
    "late_result": Case("Task with a result times out", _do_nothing, _for_both(FAILED), (67227,)),
    "bad_result": Case("Program with a broken result fails", _do_nothing, _for_both(FAILED)),
    "forbidden_cleanup": Case(
        "Program fails; its pod cannot be deleted", unusual_pods.forbid_deletion, _for_both(FAILED)
    ),
    "room": Case(
        "Quota exhausted for longer than the startup timeout",
        unusual_pods.exhaust_quota,
        _for_both(DONE),
        is_exclusive=True,
    ),
    **{
        f"refused_{reason.lower()}": Case(
            f"Pod gets the status of a kubelet's refusal: {reason}",
            unusual_pods.refuse_pods(reason),
            _for_both(DONE),
            (59626,),
        )
        for reason in unusual_pods.REASONS
    },
    "refused_deleted": Case("Pod deleted while it is pending", unusual_pods.delete_pending_pods, _for_both(DONE)),
}
"""Name of the DAG without its prefix → case."""
