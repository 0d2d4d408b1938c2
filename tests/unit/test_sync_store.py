"""Airflow's task state store does not answer: a task waits for it before it takes up, starts or leaves a pod."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse

from unit.support.cluster_server import Cluster
from unit.support.fake_kubelet import Program
from unit.support.task_faults import at, kill_while_running
from unit.support.task_process import StartTask, Task

ONCE = 2
"""Lines of the ledger, in which a program starts and ends."""


def refuse(status: int | None) -> AirflowRuntimeError:
    """Build what Airflow's store raises when its API answers with this status, or does not answer."""
    detail = {"status_code": status, "message": "busy"}
    return AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail=detail))


def fail_reads(task: Task, is_failing: Callable[[int], bool], error: Exception | None = None) -> list[str]:
    """Let the reads of the store fail whose numbers, from 1, are chosen; return the keys that were asked for."""
    assert task.store is not None
    get, keys = task.store.get, []

    def read(key: str) -> Any:
        keys.append(key)
        if is_failing(len(keys)):
            raise error or refuse(503)
        return get(key)

    task.store.get = read  # type: ignore[method-assign]
    return keys


def fail_for(task: Task, seconds: float) -> list[str]:
    """Let all reads of the store fail for these seconds."""
    end = task.cluster.now + seconds
    return fail_reads(task, lambda _: task.cluster.now < end)


def shut_down_while_running(task: Task, runs_s: float = 100) -> None:
    """Start the task's pod, and shut its worker down while the program runs."""
    task.cluster.programs["base"] = Program(runs_s=runs_s)
    at(5, task.cluster, lambda pod: task.operator.on_kill())
    assert task.run().outcome == "rescheduled"
    task.cluster.on_tick = lambda: None


WHY = "API_SERVER_ERROR: {'status_code': 503, 'message': 'busy'}"
LEFT = "Check Airflow's API server. A retry of the task takes up the pod, or its result."
WAITS = f"warning: Cannot read Airflow's task state store: {WHY}. The task tries again for at most 60 s."


@pytest.mark.parametrize("number", range(1, 6))
def test_last_try_takes_the_end_of_its_pod_whichever_read_of_the_store_fails(
    number: int, fake_cluster: Cluster, start_task: StartTask
):
    task = start_task(xcom="message", retries=0)
    task.max_tries = 0
    kill_while_running(task)
    fake_cluster.sleep(300)
    task.reschedules = 1
    fail_reads(task, lambda count: count == number)
    run = task.run()
    assert (run.outcome, fake_cluster.ledger[ONCE:], run.log.count(WAITS)) == ({"rows": 3}, [], int(number < 4))


def test_store_is_read_once_for_each_value_that_a_restart_needs(fake_cluster: Cluster, start_task: StartTask):
    task = start_task(xcom="message")
    kill_while_running(task)
    fake_cluster.sleep(300)
    keys = fail_reads(task, lambda _: False)
    assert task.retry().outcome == {"rows": 3}
    assert keys == [f"kpo_platform_{key}" for key in ("start", "end", "disruptions", "log_positions")]


@pytest.mark.parametrize("extra", [{}, {"name": "load", "random_name_suffix": False}], ids=["name", "fixed"])
def test_restart_waits_for_the_store_as_long_as_for_a_connection(
    extra: dict[str, Any], fake_cluster: Cluster, start_task: StartTask
):
    task = start_task(retries=0, **extra)
    task.max_tries = 0
    shut_down_while_running(task, 200)
    fail_for(task, 40)
    run = task.run()
    assert (run.outcome, [*fake_cluster.pods], len(fake_cluster.ledger)) == (None, [], ONCE)
    said = [line for line in run.log if "Airflow" in line]
    assert (said[0], said[1][:28], len(said)) == (WAITS, "Airflow answers again after ", 2)


def test_task_that_cannot_read_which_pod_it_has_leaves_it(fake_cluster: Cluster, start_task: StartTask):
    task = start_task()
    shut_down_while_running(task, 1000)
    begin = fake_cluster.now
    fail_for(task, 300)
    run = task.run()
    assert (run.outcome, run.requests, 60 <= fake_cluster.now - begin < 62) == (
        f"StateUnreadable: Cannot read Airflow's task state store: {WHY}. "
        f"If the task has a pod, it was not deleted, and may still run. {LEFT}",
        [],
        True,
    )
    fake_cluster.sleep(300)
    assert (task.retry().outcome, len(fake_cluster.ledger)) == (None, ONCE)


def test_task_that_cannot_read_how_its_pod_ended_names_it(fake_cluster: Cluster, start_task: StartTask):
    task = start_task()
    shut_down_while_running(task, 1000)
    fail_reads(task, lambda count: count > 1)
    run = task.run()
    assert (run.outcome, len(fake_cluster.pods)) == (
        f"StateUnreadable: Cannot read Airflow's task state store: {WHY}. "
        f"Pod {task.pod} in namespace team-alpha was not deleted, and may still run. {LEFT}",
        1,
    )


def test_retry_that_would_replace_the_pod_says_so(fake_cluster: Cluster, start_task: StartTask):
    task = start_task(reattach_on_restart=False)
    shut_down_while_running(task, 1000)
    fail_for(task, 300)
    assert str(task.run().outcome).endswith("Check Airflow's API server. A retry of the task replaces the pod.")


@pytest.mark.parametrize("status", [401, 403, 422])
def test_refusal_of_the_store_is_not_repeated(status: int, start_task: StartTask):
    task = start_task()
    shut_down_while_running(task)
    keys = fail_reads(task, lambda _: True, refuse(status))
    outcome = str(task.run().outcome)
    assert (len(keys), outcome.split(":")[0], f"'status_code': {status}" in outcome) == (1, "StateUnreadable", True)


@pytest.mark.parametrize("error", [refuse(408), refuse(429), refuse(500), refuse(None), OSError("no answer")], ids=str)
def test_any_other_error_of_the_store_is_repeated(error: Exception, fake_cluster: Cluster, start_task: StartTask):
    task = start_task()
    shut_down_while_running(task)
    fail_reads(task, lambda count: count < 3, error)
    assert (task.run().outcome, len(fake_cluster.ledger)) == (None, ONCE)


def test_shutdown_ends_the_wait_for_the_store(fake_cluster: Cluster, start_task: StartTask):
    task = start_task()
    shut_down_while_running(task, 200)
    fail_for(task, 30)
    begin = fake_cluster.now
    at(begin + 10, fake_cluster, lambda pod: task.operator.on_kill())
    assert (task.run().outcome, fake_cluster.now - begin < 11) == ("rescheduled", True)
    fake_cluster.on_tick = lambda: None
    fake_cluster.sleep(30)
    assert (task.run().outcome, len(fake_cluster.ledger)) == (None, ONCE)


def test_stop_does_not_wait_for_the_store(fake_cluster: Cluster, start_task: StartTask):
    task = start_task()
    shut_down_while_running(task, 200)
    fail_for(task, 300)
    begin, task.state = fake_cluster.now, "failed"
    at(begin + 10, fake_cluster, lambda pod: task.operator.on_kill())
    run = task.run()
    assert (run.outcome, fake_cluster.now - begin < 11) == (
        "AirflowException: The task was stopped, and its pod may still run.",
        True,
    )
    assert f"warning: Cannot end the task's pod: {WHY}." in run.log


# The first start of a task


def test_first_start_waits_for_the_store(fake_cluster: Cluster, start_task: StartTask):
    task = start_task(retries=0)
    task.max_tries = 0
    fail_for(task, 40)
    assert (task.run().outcome, len(fake_cluster.ledger)) == (None, ONCE)


def test_first_start_creates_no_pod_while_it_is_not_known_whether_there_is_one(
    fake_cluster: Cluster, start_task: StartTask
):
    """Airflow keeps the store of a task instance that a user deletes, and begins with its first try."""
    fake_cluster.programs["base"] = Program(runs_s=1000)
    task = start_task()
    kill_while_running(task)
    task.id = "ti-of-another-life"
    fail_for(task, 300)
    assert str(task.run().outcome).startswith("StateUnreadable: ")
    assert len(fake_cluster.pods) == 1


# A trigger that fails


def test_failed_trigger_ends_the_pod_when_the_store_answers(fake_cluster: Cluster, start_task: StartTask):
    task = start_task()
    shut_down_while_running(task, 1000)
    fail_for(task, 40)
    operator = task.build()
    with pytest.raises(Exception, match="lost"):
        operator.resume_execution("__fail__", {"error": "lost"}, task.context())
    fake_cluster.sleep(60)
    assert [*fake_cluster.pods] == []
