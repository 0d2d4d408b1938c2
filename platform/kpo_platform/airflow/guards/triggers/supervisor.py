"""Judge triggers in the triggerer's main process, before they are sent to the child process that runs them."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterable
from functools import partial, wraps
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import SQLAlchemyError

from kpo_platform.airflow.guards.contract_file import read_contract
from kpo_platform.airflow.guards.origin import CONFLICT_FIX
from kpo_platform.airflow.guards.task_origins import read_dag_origins, read_task_origin
from kpo_platform.airflow.guards.triggers.argument_checks import list_watched_dags
from kpo_platform.airflow.guards.triggers.events import build_failed_event, guard_events
from kpo_platform.airflow.guards.triggers.judge import PLAIN_VALUES_FIX, Judgement, build_refusal, judge_trigger
from kpo_platform.airflow.guards.triggers.plain_values import NotPlainError, convert_plain
from kpo_platform.airflow.guards.triggers.request import TriggerRefusedError, TriggerRequest
from kpo_platform.airflow.guards.triggers.stored_arguments import check_deserialization, read_arguments, write_arguments
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
    guard_events(supervisor_class)


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
        refusal = judgement.refusal
        if refusal is None:
            try:
                check_deserialization(judgement.arguments)
                return _create_workload(partial(create_workload, supervisor, *args, **kwargs), judgement.arguments)
            except TriggerRefusedError as refused:
                refusal = build_refusal(trigger.classpath, refused)
        _fail_trigger(supervisor, trigger, refusal, refused_watchers)
        return None

    supervisor_class._create_workload = create_judged_workload


def _guard_update_triggers(supervisor_class: Any, refused_watchers: RefusedWatchers) -> None:
    update_triggers = supervisor_class.update_triggers

    @wraps(update_triggers)
    def update_other_triggers(supervisor: Any, requested_trigger_ids: set[int]) -> Any:
        return update_triggers(supervisor, refused_watchers.remove_from(requested_trigger_ids, read_contract()))

    supervisor_class.update_triggers = update_other_triggers


def _judge_row(trigger: Any, session: Session, contract: Contract) -> Judgement:
    """Judge a row of the table ``trigger``. An error of the database is raised, as Airflow's own queries raise it."""
    instance = trigger.task_instance
    try:
        arguments = read_arguments(trigger.encrypted_kwargs)
        _check_next_arguments(instance)
    except TriggerRefusedError as refused:
        return Judgement(build_refusal(trigger.classpath, refused), {})
    origin = read_task_origin(session, instance.id) if instance else None
    if origin is not None and (conflict := origin.find_conflict(contract)):
        return Judgement(build_refusal(trigger.classpath, TriggerRefusedError(conflict, CONFLICT_FIX)), {})
    request = TriggerRequest(
        class_path=trigger.classpath,
        arguments=arguments,
        team=origin.dag.find_team(contract) if origin else None,
        task_instance_id=str(instance.id) if instance else None,
    )
    teams = {
        dag_id: frozenset(each.find_team(contract) for each in read_dag_origins(session, (dag_id, None, True)))
        for dag_id in list_watched_dags(arguments)
    }
    return judge_trigger(request, contract, lambda dag_id: teams.get(dag_id, frozenset()))


def _check_next_arguments(instance: Any) -> None:
    """Refuse objects in the arguments with which the task resumes.

    When the trigger fires, Airflow deserializes them in this process, beside the database (3.3, models/trigger.py).
    """
    try:
        convert_plain(instance.next_kwargs if instance else None)
    except NotPlainError as error:
        raise TriggerRefusedError(f"an argument with which the task would resume {error}", PLAIN_VALUES_FIX) from None


def _create_workload(create: Callable[[], Any], arguments: dict[str, Any]) -> Any:
    """Let Airflow create a workload, and put in the judged arguments.

    A task with ``start_from_trigger`` carries its DAG, and Jinja would replace arguments after the judgement. Without
    the DAG nothing is rendered, so such a task works unless its arguments are templates.

    Raises:
        TriggerRefusedError: the arguments are templates, or Airflow cannot read the task's DAG.
    """
    try:
        workload = create()
    except SQLAlchemyError:
        raise
    except Exception as error:  # the serialized DAG comes from a DAG file, and may be anything
        raise TriggerRefusedError(f"its task cannot be read ({type(error).__name__})", "Correct the DAG.") from None
    if workload is None:
        return None
    workload.encrypted_kwargs = write_arguments(arguments)
    has_dag, workload.dag_data, workload.dag_run_data = workload.dag_data is not None, None, None
    if has_dag and ("{{" in workload.encrypted_kwargs or "{%" in workload.encrypted_kwargs):
        raise TriggerRefusedError(
            "its arguments are Jinja templates, which the triggerer does not render",
            "Leave out start_from_trigger, so that a worker renders them.",
        )
    return workload


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
        from airflow.jobs.triggerer_job_runner import TriggerEventEntry

        supervisor.events.append(TriggerEventEntry(trigger.id, build_failed_event(str(refusal)), None))
    else:
        refused_watchers.add(trigger.id)
