"""lifecycle.run: a deferred task whose trigger has failed, or which was stopped without a triggerer."""

from __future__ import annotations

from typing import Any

from unit.support.task_restarts import TaskProcess
from unit.test_reentry import defer, shut_down_at_reentry


def start_deferred(task: TaskProcess, **arguments: Any) -> TaskProcess:
    """Start a task that waits for its running program in the triggerer."""
    task.arguments = {"deferrable": True, **arguments}
    return defer(task)


def read_trigger(task: TaskProcess) -> Any:
    """Return the trigger with which the task waits."""
    assert task.deferral is not None
    return task.deferral.trigger


def test_clear_of_a_stop_that_no_triggerer_has_received_continues_with_the_pod(task_process: TaskProcess):
    deferred = start_deferred(task_process)
    deferred.retry(max_tries=2)
    assert (deferred.run(), deferred.pods.changes, deferred.pods.created) == ("deferred", [], 1)


def test_restart_counts_the_errors_of_the_trigger_from_zero(task_process: TaskProcess):
    deferred = start_deferred(task_process)
    assert deferred.resume("error", _redefer_count=2) == "deferred"
    assert read_trigger(deferred).trigger_kwargs == {"_redefer_count": 3}
    shut_down_at_reentry(deferred)
    assert deferred.run() == "deferred"
    assert "_redefer_count" not in (read_trigger(deferred).trigger_kwargs or {})


def test_log_of_an_interval_is_written_again_after_an_error_of_the_trigger(task_process: TaskProcess):
    start_deferred(task_process, logging_interval=5)
    assert (task_process.resume("error"), read_trigger(task_process).last_log_time) == ("deferred", None)
