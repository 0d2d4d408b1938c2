"""Store the events of triggers: the triggerer outlives one that cannot be stored, and sends no useless request."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import DataError, SQLAlchemyError

from kpo_platform.airflow.guards.contract_file import read_contract

log = logging.getLogger(__name__)


def guard_events(supervisor_class: Any) -> None:
    """Replace the methods of ``TriggerRunnerSupervisor`` that store events (3.3, jobs/triggerer_job_runner.py).

    An event has what the trigger has read, such as the result of a pod. PostgreSQL does not store every text in JSON:
    a null character in one task's result would end the triggerer, again at each start.
    """
    on_trigger_event = supervisor_class.on_trigger_event

    @wraps(on_trigger_event)
    def store_event(supervisor: Any, trigger_id: int, event: Any) -> None:
        try:
            with _without_callback_of_success(event):
                on_trigger_event(supervisor, trigger_id=trigger_id, event=event)
        except Exception as error:
            is_database_error = isinstance(error, SQLAlchemyError) and not isinstance(error, DataError)
            if is_database_error or not read_contract().isolation.enabled:
                raise
            log.exception("The event of trigger %s cannot be stored.", trigger_id)
            sentence = (
                f"The event of the trigger cannot be stored ({type(error).__name__}). Leave null characters out of the "
                "result and the arguments of the task."
            )
            supervisor.on_trigger_failure(trigger_id=trigger_id, exc=[sentence])
            if _has_callback(trigger_id):
                on_trigger_event(supervisor, trigger_id=trigger_id, event=build_failed_event(sentence))

    supervisor_class.on_trigger_event = store_event


class _NoSink:
    """Takes the place of ``DatabaseCallbackSink``."""

    def send(self, *, callback: Any, session: Any) -> None:
        """Send nothing."""


@contextmanager
def _without_callback_of_success(event: Any) -> Iterator[None]:
    """Keep Airflow from asking the DAG processor for a callback after a success.

    It would parse the task's DAG file once more, before all others, only to find that the request is for no failure
    (3.3, models/trigger.py and dag_processing/processor.py): once for each task of all teams that the triggerer ends.
    """
    from airflow.callbacks import database_callback_sink as module
    from airflow.triggers.base import TaskSuccessEvent

    sink = module.DatabaseCallbackSink
    if isinstance(event, TaskSuccessEvent):
        vars(module)["DatabaseCallbackSink"] = _NoSink
    try:
        yield
    finally:
        vars(module)["DatabaseCallbackSink"] = sink


def _has_callback(trigger_id: int) -> bool:
    from airflow.models.callback import Callback
    from airflow.utils.session import create_session

    with create_session() as session:
        return session.scalar(select(Callback.id).where(Callback.trigger_id == trigger_id)) is not None


def build_failed_event(sentence: str) -> Any:
    """Build the event by which a callback ends; a mere failure would leave it in the database (models/trigger.py)."""
    from airflow.triggers.base import TriggerEvent
    from airflow.triggers.callback import PAYLOAD_BODY_KEY, PAYLOAD_STATUS_KEY
    from airflow.utils.state import CallbackState

    payload = {PAYLOAD_STATUS_KEY: CallbackState.FAILED, PAYLOAD_BODY_KEY: sentence}
    return TriggerEvent(payload)  # type: ignore[no-untyped-call]
