"""Cases of tasks that a user, a shutdown or a timeout stops."""

from __future__ import annotations

import time
from contextlib import ExitStack

from faults.case_run import CaseRun
from faults.fault import Fault, Hold
from faults.ledger import END
from faults.scene import TASKS, Scene
from faults.task_processes import read_scheduler_address
from stack.release import NAMESPACE

_HOLD_S = 120.0
_KILL_S = 20.0  # Airflow kills the process of a stopped task 5 s after SIGTERM; until then it may create its pod
_TIMEOUT_S = 300.0  # Airflow waits a minute longer than the task's own timeout
_TRIGGERER = ("scale", "statefulset/airflow-triggerer", "-n", NAMESPACE)


def clear_running_tasks(scene: Scene, run: CaseRun, _: ExitStack) -> None:
    """Clear tasks whose pods take some seconds to end, and end with exit code 0."""
    run.wait_for_starts(*TASKS)
    run.wait_for_state("deferred", "deferred")
    run.clear(*TASKS)


def stop_and_clear_tasks(scene: Scene, run: CaseRun, _: ExitStack) -> None:
    """Stop tasks whose pods go on, then clear the tasks."""
    run.wait_for_starts(*TASKS)
    run.wait_for_state("deferred", "deferred")
    for task in TASKS:
        run.mark_failed(task)
        run.wait_for_state(task, "failed")
    run.clear(*TASKS)


def end_pods_without_worker(scene: Scene, run: CaseRun, cleanup: ExitStack) -> None:
    """Shut down the tasks' processes, a deferred one in its re-entry; hold the next until the pods have ended."""
    run.wait_for_starts(*TASKS)
    run.wait_for_state("deferred", "deferred")
    scheduler = read_scheduler_address(scene.stack)
    reentry = hold_requests(scene, f"{run.dag}.deferred", scheduler, cleanup)
    run.kill("sync", "TERM")
    run.wait_for_state("sync", "up_for_reschedule", "queued", "success", "failed")
    successor = hold_requests(scene, f"{run.dag}.sync", scheduler, cleanup)
    run.wait_for_events(END, TASKS)
    successor.release()
    reentry.wait_until_reached(_HOLD_S)
    run.kill("deferred", "TERM")
    reentry.release()


def hold_requests(scene: Scene, task: str, client: str, cleanup: ExitStack) -> Hold:
    """Hold the requests of a client about the pods of a task until the release, at the latest until the cleanup."""
    hold = Hold()
    cleanup.enter_context(scene.proxy.inject(Fault("*", hold, task=task, client=client)))
    cleanup.callback(hold.release)
    return hold


def stop_before_execute(scene: Scene, run: CaseRun, _: ExitStack) -> None:
    """Stop tasks that run, but have not come to the operator's code."""
    for task in TASKS:
        run.wait_for_state(task, "running")
    for task in TASKS:
        run.mark_failed(task)
    time.sleep(_KILL_S)


def stop_triggerer(scene: Scene, run: CaseRun, _: ExitStack) -> None:
    """Let a deferred task time out while there is no triggerer, so that Airflow itself fails the task."""
    run.wait_for_starts("deferred")
    run.wait_for_state("deferred", "deferred")
    scene.stack.kubectl(*_TRIGGERER, "--replicas=0")
    try:
        run.wait_for_state("deferred", "failed", deadline_s=_TIMEOUT_S)
    finally:
        scene.stack.kubectl(*_TRIGGERER, "--replicas=1")
        words = ("rollout", "status", "statefulset/airflow-triggerer", "-n", NAMESPACE, "--timeout=300s")
        scene.stack.kubectl(*words, timeout_s=310)
