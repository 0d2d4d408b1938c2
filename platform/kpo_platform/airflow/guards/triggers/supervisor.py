"""Judge triggers in the triggerer's main process, before they are sent to the child process that runs them."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterable
from functools import partial, wraps
from typing import TYPE_CHECKING, Any

from kpo_platform.airflow.guards.contract_file import read_contract
from kpo_platform.airflow.guards.task_teams import find_dag_teams, find_team_of_version
from kpo_platform.airflow.guards.triggers.judge import Judgement, build_refusal, judge_trigger
from kpo_platform.airflow.guards.triggers.request import TriggerRefusedError, TriggerRequest
from kpo_platform.airflow.guards.triggers.stored_arguments import read_arguments, write_arguments
from kpo_platform.contract import Contract
from kpo_platform.finding import Refusal

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

log = logging.getLogger(__name__)


def guard_supervisor(supervisor_class: Any) -> None:
    """Replace the methods of ``TriggerRunnerSupervisor`` that prepare triggers (3.3, jobs/triggerer_job_runner.py)."""
    refused_watchers = RefusedWatchers()
    _guard_create_workload(supervisor_class, refused_watchers)
    _guard_update_triggers(supervisor_class, refused_watchers)


class RefusedWatchers:
    """Refused triggers of asset watchers, which Airflow would offer again every second.

    They are judged again once the contract has changed.
    """

    def __init__(self) -> None:
        self._ids: set[int] = set()
        self._contract: Contract | None = None

    def add(self, trigger_id: int) -> None:
        """Remember a refused trigger."""
        self._ids.add(trigger_id)

    def remove_from(self, requested: Iterable[int], contract: Contract) -> set[int]:
        """Return the requested ids without the refused ones; forget those that are not requested any more."""
        requested_ids = set(requested)
        self._ids = self._ids & requested_ids if contract is self._contract else set()
        self._contract = contract
        return requested_ids - self._ids


def _guard_create_workload(supervisor_class: Any, refused_watchers: RefusedWatchers) -> None:
    create_workload = supervisor_class._create_workload
    signature = inspect.signature(create_workload)

    @wraps(create_workload)
    def create_judged_workload(supervisor: Any, *args: Any, **kwargs: Any) -> Any:
        contract = read_contract()
        if not contract.isolation.enabled:
            return create_workload(supervisor, *args, **kwargs)
        given = signature.bind(supervisor, *args, **kwargs).arguments
        trigger = given["trigger"]
        judgement = _judge_row(trigger, given["session"], contract)
        workload = None
        if judgement.refusal is None:
            workload = create_workload(supervisor, *args, **kwargs)
            judgement = _finish_workload(workload, judgement)
        if judgement.refusal is None:
            return workload
        _fail_trigger(supervisor, trigger, judgement.refusal, refused_watchers)
        return None

    supervisor_class._create_workload = create_judged_workload


def _guard_update_triggers(supervisor_class: Any, refused_watchers: RefusedWatchers) -> None:
    update_triggers = supervisor_class.update_triggers

    @wraps(update_triggers)
    def update_other_triggers(supervisor: Any, requested_trigger_ids: set[int]) -> Any:
        return update_triggers(supervisor, refused_watchers.remove_from(requested_trigger_ids, read_contract()))

    supervisor_class.update_triggers = update_other_triggers


def _judge_row(trigger: Any, session: Session, contract: Contract) -> Judgement:
    """Judge a row of the table ``trigger``."""
    instance = trigger.task_instance
    try:
        request = TriggerRequest(
            class_path=trigger.classpath,
            arguments=read_arguments(trigger.encrypted_kwargs),
            team=find_team_of_version(instance.dag_version_id, session, contract) if instance else None,
            task_instance_id=str(instance.id) if instance else None,
        )
    except TriggerRefusedError as refused:
        return Judgement(build_refusal(trigger.classpath, refused), {})
    return judge_trigger(request, contract, partial(find_dag_teams, session=session, contract=contract))


def _finish_workload(workload: Any, judgement: Judgement) -> Judgement:
    """Put the judged arguments into a workload, and remove the DAG with which the child process would render them.

    A task with ``start_from_trigger`` carries its DAG, and Jinja would replace arguments after the judgement. Without
    the DAG nothing is rendered, so such a task works unless its arguments are templates.
    """
    if workload is None:
        return judgement
    workload.encrypted_kwargs = write_arguments(judgement.arguments)
    if workload.dag_data is not None:
        workload.dag_data = workload.dag_run_data = None
        if "{{" in workload.encrypted_kwargs or "{%" in workload.encrypted_kwargs:
            refused = TriggerRefusedError(
                "its arguments are Jinja templates, which the triggerer does not render",
                "Leave out start_from_trigger, so that a worker renders them.",
            )
            return Judgement(build_refusal(workload.classpath, refused), {})
    return judgement


def _fail_trigger(supervisor: Any, trigger: Any, refusal: Refusal, refused_watchers: RefusedWatchers) -> None:
    """Report a refused trigger through the supervisor's own queues, which it empties in the same second."""
    instance = trigger.task_instance
    subject = (
        f"of task {instance.task_id} of DAG {instance.dag_id}, run {instance.run_id}" if instance else "of no task"
    )
    log.warning("%s (Trigger %s %s.)", refusal, trigger.id, subject)
    supervisor.logger_cache.pop(trigger.id, None)
    if instance is not None:
        supervisor.failed_triggers.append((trigger.id, [str(refusal)]))
    elif trigger.callback is not None:
        supervisor.events.append(_build_failed_event(trigger.id, refusal))
    else:
        refused_watchers.add(trigger.id)


def _build_failed_event(trigger_id: int, refusal: Refusal) -> Any:
    """Build the event by which a callback ends; a mere failure would leave it in the database (models/trigger.py)."""
    from airflow.jobs.triggerer_job_runner import TriggerEventEntry
    from airflow.triggers.base import TriggerEvent
    from airflow.triggers.callback import PAYLOAD_BODY_KEY, PAYLOAD_STATUS_KEY
    from airflow.utils.state import CallbackState

    payload = {PAYLOAD_STATUS_KEY: CallbackState.FAILED, PAYLOAD_BODY_KEY: str(refusal)}
    event = TriggerEvent(payload)  # type: ignore[no-untyped-call]
    return TriggerEventEntry(trigger_id=trigger_id, event=event, persist_seq=None)
