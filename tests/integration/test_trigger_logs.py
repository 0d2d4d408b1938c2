"""The process of the triggers and the triggerer's main process: no line of a task that ends there is lost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from airflow.jobs import triggerer_job_runner
from airflow.jobs.job import Job
from airflow.jobs.triggerer_job_runner import TriggerRunnerSupervisor
from airflow.utils.session import create_session

from integration.support.finishing_trigger import FinishingTrigger
from kpo_platform.airflow.workarounds.slow_answers import answer_all_requests
from unit.support.airflow_database import AirflowDatabase

_LINES = 400
_TURN_S = 0.5
"""What a loaded database adds to a turn of the main process, which reads some 13 lines in each."""

_DEADLINE_S = 120


@pytest.fixture
def log_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The log of the only task."""
    file = tmp_path / "task.log"
    file.touch()
    monkeypatch.setattr("airflow.sdk.log.init_log_file", lambda _: file)
    return file


@pytest.fixture
def supervisor(airflow_database: AirflowDatabase) -> Iterator[TriggerRunnerSupervisor]:
    """The main process of a triggerer, with its process of the triggers."""
    with create_session() as session:
        job = Job(job_type="TriggererJob")
        session.add(job)
        session.flush()
        session.expunge(job)
    found = TriggerRunnerSupervisor.start(job=job, capacity=1, logger=structlog.get_logger())
    try:
        yield found
    finally:
        found.kill(force=True)


def count_turns(supervisor: TriggerRunnerSupervisor, database: AirflowDatabase, dag_id: str) -> int:
    """Defer a task whose log has 400 lines, and return the number of turns of the main process until it has ended."""
    database.add_dag(dag_id, "alpha")
    class_path, arguments = FinishingTrigger(_LINES).serialize()
    trigger = database.defer(dag_id, class_path, arguments).trigger_id
    deadline, has_run, turns = time.monotonic() + _DEADLINE_S, False, 0
    while not has_run or trigger in supervisor.running_triggers:
        assert time.monotonic() < deadline, f"the trigger has not ended after {turns} turns"
        supervisor.load_triggers()
        supervisor._service_subprocess(1)
        supervisor.handle_events()
        supervisor.clean_unused()
        has_run = has_run or trigger in supervisor.running_triggers
        turns += has_run
        time.sleep(_TURN_S)
    assert database.read_task(dag_id)[0] == "success"
    return turns


def test_main_process_that_is_slow_loses_no_line(
    supervisor: TriggerRunnerSupervisor, log_file: Path, airflow_database: AirflowDatabase
):
    count_turns(supervisor, airflow_database, "slow")
    assert log_file.read_text().count("[base] line") == _LINES


def test_main_process_reads_all_that_waits_in_a_turn(
    supervisor: TriggerRunnerSupervisor,
    log_file: Path,
    airflow_database: AirflowDatabase,
    monkeypatch: pytest.MonkeyPatch,
):
    serve_some: Any = TriggerRunnerSupervisor._service_subprocess
    monkeypatch.setattr(TriggerRunnerSupervisor, "_service_subprocess", serve_some, raising=False)
    answer_all_requests(triggerer_job_runner)
    turns = count_turns(supervisor, airflow_database, "fast")
    assert turns < log_file.stat().st_size / 4096, "turns, and those that Airflow needs: it reads 4,096 bytes in each"
    assert log_file.read_text().count("[base] line") == _LINES
