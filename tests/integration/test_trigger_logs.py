"""The process of the triggers and the triggerer's main process: no line of a task that ends there is lost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from airflow.jobs.job import Job
from airflow.jobs.triggerer_job_runner import TriggerRunnerSupervisor
from airflow.utils.session import create_session

from integration.support.finishing_trigger import FinishingTrigger
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


def test_main_process_that_is_slow_loses_no_line(
    supervisor: TriggerRunnerSupervisor, log_file: Path, airflow_database: AirflowDatabase
):
    airflow_database.add_dag("long_log", "alpha")
    class_path, arguments = FinishingTrigger(_LINES).serialize()
    trigger = airflow_database.defer("long_log", class_path, arguments).trigger_id
    deadline, has_run = time.monotonic() + _DEADLINE_S, False
    while not has_run or trigger in supervisor.running_triggers:
        assert time.monotonic() < deadline, f"the trigger has not ended; the log has {len(log_file.read_text())} bytes"
        supervisor.load_triggers()
        supervisor._service_subprocess(1)
        supervisor.handle_events()
        supervisor.clean_unused()
        has_run = has_run or trigger in supervisor.running_triggers
        time.sleep(_TURN_S)
    assert log_file.read_text().count("[base] line") == _LINES
    assert airflow_database.read_task("long_log")[0] == "success"
