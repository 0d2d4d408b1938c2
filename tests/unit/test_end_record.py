"""lifecycle.task_end: a process is killed after it has deleted its pod; the next one tells how the pod ended."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import pytest

from kpo_platform import TeamPodOperator
from unit.support.pod_statuses import RUNNING, ended, pod
from unit.support.task_restarts import Store, TaskProcess, send_at

NAME = "t-20e0cf0c37"
KILL = signal.SIGUSR1
FAILED = f"AirflowException: Pod {NAME} failed. The program failed: container base ended with exit code 3."
LOST = (
    "AirflowFailException: The program succeeded, but Airflow does not have its result: Airflow refused it, or the "
    f"worker was lost. Pod {NAME} no longer has it. The task is not tried again, because its work is done. Mark it "
    "successful, or clear it to do the work again."
)


def kill_after_deletion(task: TaskProcess, code: int = 0, result: Any = None, **arguments: Any) -> None:
    """Run a process to its pod's deletion, and kill it then."""
    shared = {"deferrable": False, "log_events_on_failure": False, "do_xcom_push": True, "skip_on_exit_code": 99}
    task.arguments = {**shared, **arguments}
    task.pods.status, task.pods.result = pod("Running", ended(code), aside=RUNNING)["status"], result
    task.pods.after = send_at("DELETE", KILL)
    assert (task.run(), task.pods.pods) == ("killed", {})
    task.pods.after, task.pods.result = lambda request: None, {"rows": "of another pod"}


@pytest.mark.parametrize(
    ("code", "result", "outcome"),
    [
        (0, {"rows": 5}, "{'rows': 5}"),
        (0, "x" * 60_000, repr("x" * 60_000)),
        (0, "x" * 70_000, LOST),
        (3, {"rows": 5}, FAILED),
    ],
    ids=["succeeded", "long result", "longer result", "failed"],
)
def test_next_process_of_the_try_tells_the_stored_end(task_process: TaskProcess, code: int, result: Any, outcome: str):
    kill_after_deletion(task_process, code, result)
    task_process.reschedules += 1
    assert (task_process.run(), task_process.pods.changes) == (outcome, ["create", "delete"])


class StoreWithoutUid(Store):
    """Airflow is away when the uid of the created pod is stored."""

    def set(self, key: str, value: Any) -> None:
        if key == "kpo_platform_start" and value["uid"]:
            raise RuntimeError("Airflow is away")
        super().set(key, value)


def test_stored_end_is_told_if_the_uid_of_its_pod_was_not_stored(task_process: TaskProcess):
    task_process.store = StoreWithoutUid()
    kill_after_deletion(task_process, 0, {"rows": 5})
    task_process.reschedules += 1
    assert (task_process.run(), task_process.pods.changes) == ("{'rows': 5}", ["create", "delete"])


@pytest.mark.parametrize("store", [Store, StoreWithoutUid])
def test_resumed_process_of_the_try_tells_the_stored_end(task_process: TaskProcess, store: type[Store]):
    task_process.store = store()
    task_process.arguments = {"deferrable": True, "do_xcom_push": True}
    task_process.pods.status = pod("Running", RUNNING)["status"]
    assert task_process.run() == "deferred"
    task_process.pods.set_status(pod("Running", ended(0), aside=RUNNING)["status"])
    task_process.pods.result, task_process.pods.after = {"rows": 5}, send_at("DELETE", KILL)
    assert task_process.resume("success") == "killed"
    task_process.pods.after = lambda request: None
    assert (task_process.resume("success"), task_process.pods.changes) == ("{'rows': 5}", ["create", "delete"])


def clear(task: TaskProcess) -> None:
    task.ti["max_tries"] += 1


def clear_with_fewer_retries(task: TaskProcess) -> None:
    task.arguments["retries"] = 1  # after the first try: 1 + 1, as before


def add_hook(task: TaskProcess) -> None:
    task.arguments["post_execute"] = lambda context, result: None


@pytest.mark.parametrize(
    ("code", "change", "is_taken"),
    [
        (0, lambda task: None, True),
        (3, lambda task: None, False),
        (99, lambda task: None, False),
        (0, clear, False),
        (0, clear_with_fewer_retries, False),
        (0, add_hook, False),
    ],
    ids=["succeeded", "failed", "skipped", "cleared", "cleared with fewer retries", "post_execute"],
)
def test_retry_takes_only_a_success_that_nothing_can_have_failed(
    task_process: TaskProcess, code: int, change: Callable[[TaskProcess], None], is_taken: bool
):
    task_process.ti["max_tries"] = 2
    kill_after_deletion(task_process, code, {"rows": 5}, retries=2)
    task_process.retry()
    change(task_process)
    task_process.pods.status = pod("Running", ended(0), aside=RUNNING)["status"]
    again = ("{'rows': 'of another pod'}", ["create", "delete"] * 2)
    assert (task_process.run(), task_process.pods.changes) == (
        ("{'rows': 5}", ["create", "delete"]) if is_taken else again
    )


def test_retry_does_the_work_again_if_a_subclass_has_post_execute(
    task_process: TaskProcess, monkeypatch: pytest.MonkeyPatch
):
    kill_after_deletion(task_process, 0, {"rows": 5})
    task_process.retry()
    monkeypatch.setattr(TeamPodOperator, "post_execute", lambda self, context, result=None: None)
    assert (task_process.run(), task_process.pods.changes) == (
        "{'rows': 'of another pod'}",
        ["create", "delete", "create", "delete"],
    )


@pytest.mark.parametrize("name", ["execute", "trigger_reentry", "resume_execution"])
def test_retry_does_the_work_again_if_a_subclass_looks_at_the_result(
    task_process: TaskProcess, monkeypatch: pytest.MonkeyPatch, name: str
):
    kill_after_deletion(task_process, 0, {"rows": 5})
    task_process.retry()
    run = getattr(TeamPodOperator, name)

    def check(self: Any, *arguments: Any, **named: Any) -> Any:
        return run(self, *arguments, **named)

    monkeypatch.setattr(TeamPodOperator, name, check)
    assert (task_process.run(), task_process.pods.created) == ("{'rows': 'of another pod'}", 2)


def test_task_instance_that_airflow_creates_again_does_the_work_again(task_process: TaskProcess):
    """As for a mapped task whose number of instances shrinks and grows: the former's store is still there."""
    kill_after_deletion(task_process, 0, {"rows": 5})
    task_process.ti |= {"id": "ti-new"}
    assert (task_process.run(), task_process.pods.created) == ("{'rows': 'of another pod'}", 2)


def test_without_a_store_the_work_is_done_again(task_process: TaskProcess):
    task_process.store = None
    kill_after_deletion(task_process, 0, {"rows": 5})
    assert (task_process.run(), task_process.pods.created) == ("{'rows': 'of another pod'}", 2)


@pytest.mark.parametrize("has_uid", [True, False], ids=["of this package", "of the stock operator"])
@pytest.mark.parametrize("deferrable", [True, False])
def test_task_in_flight_during_an_upgrade_takes_up_its_pod(task_process: TaskProcess, deferrable: bool, has_uid: bool):
    task_process.arguments = {"deferrable": True, "do_xcom_push": True}
    task_process.pods.status = pod("Running", RUNNING)["status"]
    assert task_process.run() == "deferred"
    assert task_process.store is not None
    metadata = task_process.pods.pod["metadata"]
    metadata["labels"].pop("kpo-platform/start")
    task_process.store.clear()
    keys = ("name", "namespace", "uid") if has_uid else ("name", "namespace")
    task_process.store["pod_identifier"] = {key: metadata[key] for key in keys}
    task_process.pods.set_status(pod("Running", ended(0), aside=RUNNING)["status"])
    task_process.pods.result = {"rows": 5}
    task_process.arguments["deferrable"] = deferrable
    outcome = task_process.resume("success") if deferrable else task_process.run()
    assert (outcome, task_process.pods.changes) == ("{'rows': 5}", ["create", "delete"])
