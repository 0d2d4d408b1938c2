"""A clear of a running task: what its old process may still write, and what the next one gets of that."""

from __future__ import annotations

from typing import Any

from airflow.models.taskinstance import TaskInstance, clear_task_instances
from airflow.utils.session import create_session
from sqlalchemy import select

from integration.support.execution_api import ExecutionApi
from integration.support.isolation_database import LOGICAL_DATE

KEY = "kpo_platform_stopped_20e0cf0c37"
START = {"state": "running", "hostname": "h", "unixname": "u", "pid": 1, "start_date": LOGICAL_DATE.isoformat()}


def read_task(session: Any) -> TaskInstance:
    return session.scalars(select(TaskInstance).where(TaskInstance.dag_id == "alpha_dag")).one()


def test_cleared_task_leaves_a_mark_as_an_xcom_but_not_in_its_store(execution_api: ExecutionApi):
    old = execution_api.tasks["alpha"]
    with create_session() as session:
        clear_task_instances([read_task(session)], session)
    state = "/task-instances/states?dag_id=alpha_dag&task_ids=t&run_ids=r1"
    assert execution_api.request_as(old, "GET", state).json() == {"task_states": {"r1": {"t": "restarting"}}}
    stored = execution_api.request_as(old, "PUT", f"/store/ti/{old}/k", json={"value": 1})
    pushed = execution_api.request_as(old, "POST", f"/xcoms/alpha_dag/r1/t/{KEY}", json=True)
    assert (stored.status_code, pushed.status_code) == (404, 201)
    with create_session() as session:
        task = read_task(session)
        task.state, new = "queued", task.id
    started = execution_api.request_as(new, "PATCH", f"/task-instances/{new}/run", json=START).json()
    assert sorted(started["xcom_keys_to_clear"]) == ["k", KEY]
