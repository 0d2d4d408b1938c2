"""airflow.workarounds.stale_success: a trigger that fires before the scheduler has read that the worker ended."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from airflow.executors.base_executor import BaseExecutor
from airflow.jobs import scheduler_job_runner
from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
from airflow.models.dagbag import DBDagBag
from airflow.models.taskinstance import TaskInstance
from airflow.utils.session import create_session
from airflow.utils.state import TaskInstanceState
from sqlalchemy import select

from kpo_platform.airflow import workarounds
from kpo_platform.airflow.workarounds.stale_success import ignore_stale_successes
from unit.support.airflow_database import AirflowDatabase

STATES = TaskInstanceState


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Run what `install` registers for the scheduler's module; undone after the test."""
    monkeypatch.setenv("KPO_PLATFORM_CONTRACT", "/nowhere/contract.json")
    events = SchedulerJobRunner.__dict__["process_executor_events"]
    monkeypatch.setattr(SchedulerJobRunner, "process_executor_events", events)
    callbacks: dict[str, Callable[[], None]] = {}
    monkeypatch.setattr(workarounds, "call_after_import", callbacks.__setitem__)
    workarounds.install()
    return callbacks["airflow.jobs.scheduler_job_runner"]


@pytest.fixture
def process(
    airflow_database: AirflowDatabase, tmp_path: Path
) -> Callable[[TaskInstanceState, str | None, TaskInstanceState], str | None]:
    """Return the state of a task after Airflow's scheduler has read its executor's event."""
    airflow_database.add_dag("d", "alpha")

    def process_event(state: TaskInstanceState, next_method: str | None, event: TaskInstanceState) -> str | None:
        executor = BaseExecutor(parallelism=1)
        with create_session() as session:
            task = session.scalars(select(TaskInstance)).one()
            task.state, task.next_method, task.try_number = state, next_method, 1
            executor.change_state(task.key, event)
        with create_session() as session:
            SchedulerJobRunner.process_executor_events(executor, None, DBDagBag(), session)
        return airflow_database.read_task("d")[0]

    return process_event


Process = Callable[[TaskInstanceState, str | None, TaskInstanceState], str | None]


@pytest.mark.parametrize("state", [STATES.SCHEDULED, STATES.QUEUED, STATES.RUNNING])
def test_resumed_task_goes_on_when_the_success_of_its_deferral_comes_late(
    state: TaskInstanceState, install: Callable[[], None], process: Process
):
    install()
    assert process(state, "execute_complete", STATES.SUCCESS) == state


@pytest.mark.parametrize("state", [STATES.QUEUED, STATES.RUNNING])
def test_task_that_never_deferred_fails_when_its_process_ends_without_a_word(
    state: TaskInstanceState, install: Callable[[], None], process: Process
):
    install()
    assert process(state, None, STATES.SUCCESS) == STATES.FAILED


@pytest.mark.parametrize("state", [STATES.QUEUED, STATES.RUNNING])
def test_resumed_task_fails_when_its_executor_reports_a_failure(
    state: TaskInstanceState, install: Callable[[], None], process: Process
):
    install()
    assert process(state, "execute_complete", STATES.FAILED) == STATES.FAILED


def test_correction_is_made_once(install: Callable[[], None]):
    install()
    corrected = SchedulerJobRunner.process_executor_events.__func__
    install()
    assert SchedulerJobRunner.process_executor_events.__func__ is corrected


def test_other_airflow_runs_as_it_is(install: Callable[[], None], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(scheduler_job_runner, "SchedulerJobRunner", SimpleNamespace())
    install()
    with pytest.raises(AttributeError):
        ignore_stale_successes(scheduler_job_runner)
