"""airflow.guards.triggers.events: events that the database does not store."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.jobs.triggerer_job_runner import TriggerEventEntry
from airflow.models.db_callback_request import DbCallbackRequest
from airflow.models.trigger import Trigger
from airflow.triggers.base import TaskFailedEvent, TaskSkippedEvent, TaskSuccessEvent, TriggerEvent
from airflow.utils.session import create_session
from sqlalchemy import func, select
from sqlalchemy.exc import DataError, OperationalError

from unit.support.airflow_database import AirflowDatabase
from unit.support.stored_triggers import DATE
from unit.support.triggerer import Triggerer, turn

DATE_ROW = (DATE, {"moment": {"__type": "datetime", "__var": 0}})


def test_event_that_cannot_be_stored_fails_only_its_task(
    triggerer: Triggerer, airflow_database: AirflowDatabase, monkeypatch: pytest.MonkeyPatch
):
    submit_event = Trigger.submit_event

    def reject_null_character(trigger_id: int, event: TriggerEvent) -> None:
        if "\0" in event.payload:
            raise DataError("UPDATE", {}, ValueError("unsupported Unicode escape sequence"))
        submit_event(trigger_id=trigger_id, event=event)

    monkeypatch.setattr(Trigger, "submit_event", reject_null_character)
    supervisor = triggerer()
    for dag_id, payload in {"bad": "a\0b", "good": "ab"}.items():
        airflow_database.add_dag(dag_id, "alpha")
        task = airflow_database.defer(dag_id, *DATE_ROW)
        supervisor.events.append(TriggerEventEntry(task.trigger_id, TriggerEvent(payload), None))
    assert turn(supervisor) == {}
    sentence = (
        "The event of the trigger cannot be stored (DataError). Leave null characters out of the result and the "
        "arguments of the task."
    )
    assert airflow_database.read_task("bad") == (
        "scheduled",
        "__fail__",
        {"error": "Trigger failure", "traceback": [sentence]},
    )
    assert airflow_database.read_task("good") == ("scheduled", None, {"event": "ab"})


def test_lost_database_is_not_taken_for_a_bad_event(triggerer: Triggerer, monkeypatch: pytest.MonkeyPatch):
    def fail(trigger_id: int, event: TriggerEvent) -> None:
        raise OperationalError("UPDATE", {}, ValueError("connection refused"))

    monkeypatch.setattr(Trigger, "submit_event", fail)
    supervisor = triggerer()
    supervisor.events.append(TriggerEventEntry(1, TriggerEvent("ab"), None))
    with pytest.raises(OperationalError, match="connection refused"):
        supervisor.handle_events()


@pytest.mark.parametrize(
    ("event", "state", "callbacks"),
    [(TaskSuccessEvent(), "success", 0), (TaskFailedEvent(), "failed", 1), (TaskSkippedEvent(), "skipped", 0)],
    ids=["success", "failure", "skip"],
)
def test_dag_file_is_not_parsed_for_a_task_that_the_triggerer_has_ended_well(
    event: Any, state: str, callbacks: int, triggerer: Triggerer, airflow_database: AirflowDatabase
):
    supervisor = triggerer()
    airflow_database.add_dag("d", "alpha")
    task = airflow_database.defer("d", *DATE_ROW)
    supervisor.events.append(TriggerEventEntry(task.trigger_id, event, None))
    supervisor.handle_events()
    with create_session() as session:
        requests = session.scalar(select(func.count()).select_from(DbCallbackRequest))
    assert (airflow_database.read_task("d")[0], requests) == (state, callbacks)
