"""Judge triggers again in the triggerer's child process, and keep it alive when one of them cannot be created."""

from __future__ import annotations

from collections import deque
from functools import wraps
from typing import Any

from kpo_platform.airflow.guards.contract_file import read_contract
from kpo_platform.airflow.guards.triggers.judge import (
    build_refusal,
    describe_missing_entry,
    is_class_allowed,
    judge_form,
)
from kpo_platform.airflow.guards.triggers.request import TriggerRefusedError, TriggerRequest
from kpo_platform.airflow.guards.triggers.stored_arguments import read_arguments, write_arguments
from kpo_platform.finding import Refusal


def guard_runner(runner_class: Any) -> None:
    """Replace the methods of ``TriggerRunner`` that create and run triggers (3.3, jobs/triggerer_job_runner.py)."""
    _guard_create_triggers(runner_class)
    _guard_get_trigger_by_classpath(runner_class)
    _guard_run_trigger(runner_class)
    _guard_asend(runner_class)


def _guard_create_triggers(runner_class: Any) -> None:
    """Create triggers one by one, so that an error fails one; Airflow survives only a TypeError."""
    create_triggers = runner_class.create_triggers

    @wraps(create_triggers)
    async def create_judged_triggers(runner: Any) -> None:
        contract = read_contract()
        if not contract.isolation.enabled:
            await create_triggers(runner)
            return
        workloads, runner.to_create = list(runner.to_create), deque()
        for workload in workloads:
            if refusal := _judge_workload(workload):
                runner.failed_triggers.append((workload.id, TypeError(str(refusal))))
                continue
            runner.to_create = deque([workload])
            try:
                await create_triggers(runner)
            except Exception as error:  # whatever a constructor or a deserializer raises
                runner.to_create.clear()
                runner.log.error("Trigger failed to inflate", error=error)
                runner.failed_triggers.append((workload.id, error))

    runner_class.create_triggers = create_judged_triggers


def _judge_workload(workload: Any) -> Refusal | None:
    """Judge a workload as far as the child process can, which has no database, and put in the judged arguments."""
    task_instance_id = str(workload.ti.id) if workload.ti else None
    try:
        arguments = read_arguments(workload.encrypted_kwargs)
        if workload.dag_data is not None:
            raise TriggerRefusedError(
                "its arguments would be rendered in the triggerer", "Leave out start_from_trigger."
            )
    except TriggerRefusedError as refused:
        return build_refusal(workload.classpath, refused)
    request = TriggerRequest(workload.classpath, arguments, task_instance_id=task_instance_id)
    judgement = judge_form(request, read_contract())
    if judgement.refusal is None:
        workload.encrypted_kwargs = write_arguments(judgement.arguments)
    return judgement.refusal


def _guard_get_trigger_by_classpath(runner_class: Any) -> None:
    get_trigger_by_classpath = runner_class.get_trigger_by_classpath

    @wraps(get_trigger_by_classpath)
    def get_allowed_trigger(runner: Any, classpath: str) -> Any:
        contract = read_contract()
        if not contract.isolation.enabled:
            return get_trigger_by_classpath(runner, classpath)
        if not is_class_allowed(classpath, contract):
            raise TypeError(str(build_refusal(classpath, describe_missing_entry(classpath, contract))))
        return _build_constructor(get_trigger_by_classpath(runner, classpath))

    runner_class.get_trigger_by_classpath = get_allowed_trigger


def _build_constructor(trigger_class: Any) -> Any:
    """Build a function that creates a trigger, and raises nothing but a TypeError, which fails only that trigger."""
    from airflow.triggers.base import BaseTrigger

    if not (isinstance(trigger_class, type) and issubclass(trigger_class, BaseTrigger)):
        raise TypeError(f"{trigger_class!r} is not a class of triggers. Correct triggerer.allow.")

    def create_trigger(**arguments: Any) -> Any:
        try:
            return trigger_class(**arguments)
        except BaseException as error:  # a SystemExit, for example, would end the triggerer of all teams
            raise TypeError(f"{trigger_class.__name__} cannot be created: {type(error).__name__}: {error}") from None

    return create_trigger


def _guard_run_trigger(runner_class: Any) -> None:
    """Let a trigger that exits the process fail like any other; asyncio would end the event loop."""
    run_trigger = runner_class.run_trigger

    @wraps(run_trigger)
    async def run_trigger_without_exit(runner: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return await run_trigger(runner, *args, **kwargs)
        except (SystemExit, KeyboardInterrupt) as error:
            raise RuntimeError(f"The trigger raised {type(error).__name__}") from error

    runner_class.run_trigger = run_trigger_without_exit


def _guard_asend(runner_class: Any) -> None:
    """Let Airflow fail the triggers whose events it cannot send; it does so only after a NotImplementedError."""
    asend = runner_class.asend

    @wraps(asend)
    async def asend_encodable(runner: Any, msg: Any) -> Any:
        msg.failures = msg.failures and [(key, lines and list(map(_clean, lines))) for key, lines in msg.failures]
        try:
            return await asend(runner, msg)
        except (TypeError, ValueError, ArithmeticError) as error:
            raise NotImplementedError(f"An event cannot be sent: {error}") from error

    runner_class.asend = asend_encodable


def _clean(line: str) -> str:
    """Escape what cannot be sent, or cannot be stored in PostgreSQL."""
    return line.encode("utf-8", "backslashreplace").decode().replace("\x00", "\\x00")
