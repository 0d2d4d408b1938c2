"""lifecycle.start_record: the record of a task's pod in Airflow's task state store, also in its older form."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from airflow._shared.state import TaskScope
from airflow.models.taskinstance import TaskInstance, clear_task_instances
from airflow.state.metastore import MetastoreBackend
from airflow.utils.session import create_session
from airflow.utils.state import TaskInstanceState
from sqlalchemy import select

from kpo_platform.airflow.operators.lifecycle.start_record import (
    StartRecord,
    parse_start_record,
    read_start_record,
    write_start_record,
)
from unit.support.airflow_database import AirflowDatabase

RECORD = StartRecord("p", "n", "u", "s-1", "ti-1", 2, 1, 3)


def build_context(values: dict[str, Any]) -> Any:
    return {"task_state_store": SimpleNamespace(get=values.get, set=values.__setitem__)}


def test_record_is_read_as_it_was_written():
    values: dict[str, Any] = {}
    write_start_record(build_context(values), RECORD)
    assert values == {
        "kpo_platform_start": {
            "name": "p",
            "namespace": "n",
            "uid": "u",
            "start": "s-1",
            "task_instance_id": "ti-1",
            "try_number": 2,
            "restart": 1,
            "max_tries": 3,
            "retries": None,
            "is_stopped": False,
        }
    }
    assert read_start_record(build_context(values)) == RECORD


def test_record_before_the_pod_is_created_gets_its_uid():
    assert StartRecord("p", "n", start="s-1").with_uid("u") == StartRecord("p", "n", "u", "s-1")


def test_record_of_the_older_form_is_read():
    older = {"name": "p", "namespace": "n", "uid": "u"}
    assert read_start_record(build_context({"pod_identifier": older})) == StartRecord("p", "n", "u")
    stock = {"name": "p", "namespace": "n"}
    assert read_start_record(build_context({"pod_identifier": stock})) == StartRecord("p", "n")


def test_new_record_wins_over_the_older_form():
    values: dict[str, Any] = {"pod_identifier": {"name": "old", "namespace": "n"}}
    write_start_record(build_context(values), RECORD)
    assert read_start_record(build_context(values)) == RECORD


def test_task_without_a_store_has_no_record():
    write_start_record({}, RECORD)  # type: ignore[typeddict-item]
    assert read_start_record({}) is None  # type: ignore[typeddict-item]


@pytest.mark.parametrize(
    "stored", [None, "p", [], {}, {"name": "p"}, {"name": 1, "namespace": "n"}, {"name": "", "namespace": "n"}]
)
def test_malformed_record_is_none(stored: Any):
    assert parse_start_record(stored) is None


def test_malformed_fields_are_unknown():
    stored = {
        "name": "p",
        "namespace": "n",
        "uid": 1,
        "start": None,
        "try_number": "2",
        "restart": -1,
        "max_tries": True,
    }
    assert parse_start_record(stored) == StartRecord("p", "n")


@pytest.mark.parametrize(
    ("record", "task_instance_id", "max_tries", "is_of_try", "is_cleared"),
    [
        (RECORD, "ti-1", 3, True, False),
        (RECORD, "ti-2", 3, False, False),
        (RECORD, "ti-2", 4, False, True),
        (RECORD, "ti-1", 4, True, False),
        (StartRecord("p", "n", "u"), "ti-2", 4, False, False),
        (StartRecord("p", "n", "u"), "", 4, False, False),
    ],
)
def test_clear_is_told_from_a_retry(
    record: StartRecord, task_instance_id: str, max_tries: int, is_of_try: bool, is_cleared: bool
):
    told = (record.is_of_try(task_instance_id), record.is_cleared_since(task_instance_id, max_tries))
    assert told == (is_of_try, is_cleared)


def test_clear_with_lowered_retries_is_told_from_a_retry():
    """Airflow's clear adds the DAG's retries to the try's number: 1 + 1 after the first try is as before, with 2."""
    record = StartRecord("p", "n", "u", "s", "ti-1", 1, 0, max_tries=2, retries=2)
    assert [record.is_cleared_since("ti-2", 2, retries, 2) for retries in (0, 1, 2, 3)] == [False, True, False, False]


def test_changed_retries_are_no_clear_unless_the_numbers_of_a_clear_fit():
    """After a clear of try 2 or 3, max_tries is that number and the retries."""
    record = StartRecord("p", "n", "u", "s", "ti-1", 2, 0, max_tries=5, retries=5)
    found = {retries: record.is_cleared_since("ti-2", 5, retries, 4) for retries in range(8)}
    assert [retries for retries, is_cleared in found.items() if is_cleared] == [2, 3]


def retry(task: TaskInstance, session: Any) -> None:
    task.prepare_db_for_next_try(session)
    task.state = TaskInstanceState.UP_FOR_RETRY


def clear(task: TaskInstance, session: Any) -> None:
    clear_task_instances([task], session)


@pytest.mark.parametrize(
    ("change", "state", "is_cleared"),
    [
        (retry, TaskInstanceState.RUNNING, False),
        (clear, TaskInstanceState.FAILED, True),
        (clear, TaskInstanceState.SUCCESS, True),
        (clear, TaskInstanceState.DEFERRED, True),
        (clear, TaskInstanceState.UP_FOR_RETRY, True),
        (clear, TaskInstanceState.UP_FOR_RESCHEDULE, True),
        # Its worker is told to stop.
        (clear, TaskInstanceState.RUNNING, False),
    ],
)
def test_airflow_keeps_the_record_over_retries_and_clears(
    airflow_database: AirflowDatabase, change: Any, state: TaskInstanceState, is_cleared: bool
):
    airflow_database.add_dag("d", "alpha", retries=2)
    with create_session() as session:
        task = session.scalars(select(TaskInstance)).one()
        task.state, task.try_number = state, 1
        scope = TaskScope(dag_id="d", run_id=task.run_id, task_id="wait", map_index=-1)
        MetastoreBackend().set(scope, "kpo_platform_start", "value", session=session)
        record = StartRecord("p", "n", "u", "s", str(task.id), 1, 0, task.max_tries)
    with create_session() as session:
        change(session.scalars(select(TaskInstance)).one(), session)
    with create_session() as session:
        task = session.scalars(select(TaskInstance)).one()
        assert MetastoreBackend().get(scope, "kpo_platform_start", session=session) == "value"
        told = (record.is_of_try(str(task.id)), record.is_cleared_since(str(task.id), task.max_tries))
        assert told == (False, is_cleared)
