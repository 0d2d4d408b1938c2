"""The start date of a task, from which ``execution_timeout`` counts while the task is deferred."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from airflow.models.taskinstance import TaskInstance
from airflow.utils.session import create_session

from integration.support.execution_api import ExecutionApi
from integration.support.isolation_database import LOGICAL_DATE

LATER = LOGICAL_DATE + timedelta(minutes=5)


def start(api: ExecutionApi, date: datetime, **fields: Any) -> datetime | None:
    """Start a process of alpha's task at a time; return the task's start date."""
    task_id = api.tasks["alpha"]
    with create_session() as session:
        task = session.get_one(TaskInstance, task_id)
        for name, value in {"state": "queued", **fields}.items():
            setattr(task, name, value)
    body = {"state": "running", "hostname": "h", "unixname": "u", "pid": 1, "start_date": date.isoformat()}
    assert api.request_as("alpha", "PATCH", f"/task-instances/{task_id}/run", json=body).status_code == 200
    with create_session() as session:
        return session.get_one(TaskInstance, task_id).start_date


@pytest.mark.parametrize(
    ("fields", "expected"),
    [({}, LATER), ({"next_method": "trigger_reentry", "next_kwargs": {"event": {}}}, LOGICAL_DATE)],
    ids=["restart", "deferral"],
)
def test_restart_sets_the_start_date_and_a_deferral_keeps_it(
    execution_api: ExecutionApi, fields: dict[str, Any], expected: datetime
):
    assert start(execution_api, LOGICAL_DATE) == LOGICAL_DATE
    assert start(execution_api, LATER, **fields) == expected
