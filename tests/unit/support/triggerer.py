"""A triggerer's main process on a real database, without its child process."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import pytest

from unit.support.airflow_database import AirflowDatabase
from unit.support.contracts import write_contract

if TYPE_CHECKING:
    from airflow.jobs.triggerer_job_runner import TriggerRunnerSupervisor

Triggerer = Callable[..., "TriggerRunnerSupervisor"]


@pytest.fixture
def triggerer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, airflow_database: AirflowDatabase) -> Triggerer:
    """Create a triggerer with the values of isolation."""
    from airflow.jobs.job import Job
    from airflow.jobs.triggerer_job_runner import TriggerRunnerSupervisor
    from airflow.utils.session import create_session

    from kpo_platform.airflow.guards.triggers.supervisor import guard_supervisor

    monkeypatch.setenv("KPO_PLATFORM_CONTRACT", str(tmp_path / "contract.json"))

    class GuardedSupervisor(TriggerRunnerSupervisor):
        """A class of its own, so that the guard does not change Airflow for the other tests."""

    guard_supervisor(GuardedSupervisor)

    def make(**isolation: Any) -> TriggerRunnerSupervisor:
        publish(tmp_path, **isolation)
        with create_session() as session:
            job = Job(job_type="TriggererJob")
            session.add(job)
            session.flush()
            session.expunge(job)
        unused = Mock()
        return GuardedSupervisor(
            id=job.id, job=job, pid=1, stdin=unused, process=unused, process_log=unused, capacity=1000
        )

    return make


def publish(folder: Path, **isolation: Any) -> None:
    """Publish the contract of two teams with these values of isolation."""
    from unit.support.stored_triggers import build_two_teams

    write_contract(folder / "contract.json", build_two_teams(isolation).model_dump(by_alias=True))


def turn(supervisor: TriggerRunnerSupervisor) -> dict[int, dict[str, Any]]:
    """Let the main process work for one turn; return the arguments of the triggers that it would start, by id."""
    supervisor.load_triggers()
    supervisor.handle_events()
    supervisor.handle_failed_triggers()
    supervisor.clean_unused()
    started = {workload.id: json.loads(workload.encrypted_kwargs) for workload in supervisor.creating_triggers}
    supervisor.running_triggers.update(started)
    supervisor.creating_triggers.clear()
    return started
