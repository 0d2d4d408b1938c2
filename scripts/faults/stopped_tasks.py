"""Cases of tasks that a user, a shutdown or a timeout stops."""

from __future__ import annotations

from contextlib import ExitStack

from common.polling import NotYet, wait_for
from faults.case_run import WAIT_S, CaseRun
from faults.fault import Fault, Hold
from faults.ledger import END
from faults.scene import TASKS, Scene
from faults.task_processes import read_scheduler_address, wait_for_process, wait_until_exited
from stack.release import NAMESPACE

_TRIGGER_RUNS = ") starting"
"""The end of Airflow's line about a trigger that starts, in the task's log."""

_HOLD_S = 120.0
_TIMEOUT_S = 300.0  # Airflow waits a minute longer than the task's own timeout
_TRIGGERER = ("scale", "statefulset/airflow-triggerer", "-n", NAMESPACE)


def clear_running_tasks(scene: Scene, run: CaseRun, _: ExitStack) -> None:
    """Clear tasks whose pods take some seconds to end, and end with exit code 0."""
    run.wait_for_starts(*TASKS)
    wait_for_trigger(run, "deferred")
    run.clear(*TASKS)


def wait_for_trigger(run: CaseRun, task: str) -> None:
    """Wait until the trigger of a deferred task runs; no other process ends the pod when the task is stopped."""

    def probe() -> None:
        run.wait_for_state(task, "deferred")
        if _TRIGGER_RUNS not in (log := run.airflow.read_log(run.dag, run.id, task)):
            raise NotYet(f"its log ends with {log[-300:]!r}")

    wait_for(f"the trigger of {run.dag}.{task} to run", probe, WAIT_S, interval_s=0.5)


def stop_and_clear_tasks(scene: Scene, run: CaseRun, _: ExitStack) -> None:
    """Stop a task whose pod keeps running; clear it when its process has ended."""
    run.wait_for_starts("sync")
    stop_tasks(run, "sync")
    run.clear("sync")


def stop_tasks(run: CaseRun, *tasks: str) -> None:
    """Stop tasks as their users do, and wait until their processes have ended."""
    ids = [run.read_id(task) for task in tasks]
    for task in tasks:
        run.mark_failed(task)
        run.wait_for_state(task, "failed")
    for task_instance in ids:
        wait_until_exited(run.stack, task_instance)


def end_pods_without_worker(scene: Scene, run: CaseRun, cleanup: ExitStack) -> None:
    """Shut down the tasks' processes, a deferred one in its re-entry; hold the next until the pods have ended."""
    reentry = hold_reentry(scene, run, cleanup)
    run.wait_for_starts(*TASKS)
    run.kill("sync", "TERM")
    run.wait_for_state("sync", "up_for_reschedule", "queued", "success", "failed")
    successor = hold_requests(scene, "*", f"{run.dag}.sync", cleanup)
    run.wait_for_events(END, TASKS)
    successor.release()
    reentry.wait_until_reached(_HOLD_S, run.describe_states)
    run.kill("deferred", "TERM")
    reentry.release()


def hold_reentry(scene: Scene, run: CaseRun, cleanup: ExitStack) -> Hold:
    """Hold the first look of a deferred task at its pod after its trigger has fired.

    Before the deferral the task only creates its pod; the trigger asks from another address.
    """
    return hold_requests(scene, "get pods", f"{run.dag}.deferred", cleanup)


def hold_requests(scene: Scene, requests: str, task: str, cleanup: ExitStack) -> Hold:
    """Hold requests of the workers about the pods of a task until the release, at the latest until the cleanup."""
    hold, client = Hold(), read_scheduler_address(scene.stack)
    cleanup.enter_context(scene.proxy.inject(Fault(requests, hold, task=task, client=client)))
    cleanup.callback(hold.release)
    return hold


def stop_before_execute(scene: Scene, run: CaseRun, _: ExitStack) -> None:
    """Stop tasks that run, but have not come to the operator's code."""
    for task in TASKS:
        run.wait_for_state(task, "running")
        wait_for_process(scene.stack, run.read_id(task))
    stop_tasks(run, *TASKS)


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
