"""airflow.guards.triggers.events: events that the database does not store."""

from __future__ import annotations

import pytest
from airflow.jobs.triggerer_job_runner import TriggerEventEntry
from airflow.models.trigger import Trigger
from airflow.triggers.base import TriggerEvent
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
