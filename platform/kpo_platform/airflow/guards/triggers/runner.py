"""Guard the triggerer: replace the methods of Airflow that prepare, create and run triggers."""

from __future__ import annotations

import inspect
import logging
import sys
from functools import wraps
from typing import Any

from kpo_platform.airflow.guards.triggers.child_process import guard_runner
from kpo_platform.airflow.guards.triggers.contract_file import read_contract
from kpo_platform.airflow.guards.triggers.supervisor import guard_supervisor
from kpo_platform.errors import ContractError

log = logging.getLogger(__name__)

_PARAMETERS = {
    "TriggerRunnerSupervisor._create_workload": {"self", "trigger", "session"},
    "TriggerRunnerSupervisor.update_triggers": {"self", "requested_trigger_ids"},
    "TriggerRunner.create_triggers": {"self"},
    "TriggerRunner.get_trigger_by_classpath": {"self", "classpath"},
    "TriggerRunner.run_trigger": {"self", "trigger_id", "trigger"},
    "TriggererJobRunner._execute": {"self"},
}
"""The methods that the guard replaces, and the parameters that it needs."""

_WORKLOAD_FIELDS = {"id", "classpath", "encrypted_kwargs", "ti", "dag_data", "dag_run_data"}


def guard_triggerer() -> None:
    """Guard the module ``airflow.jobs.triggerer_job_runner`` after its import.

    The API server imports it too. So a guard that cannot be installed raises nothing here, and ends the process only
    when a triggerer starts.
    """
    from airflow.jobs import triggerer_job_runner as module

    problem = find_problem(module)
    if problem is None:
        guard_supervisor(module.TriggerRunnerSupervisor)
        guard_runner(module.TriggerRunner)
    if hasattr(module, "TriggererJobRunner"):
        _guard_start(module.TriggererJobRunner, problem)
    elif "triggerer" in sys.argv[1:2]:
        sys.exit(_refuse_start(str(problem)))


def find_problem(module: Any) -> str | None:
    """Find what the guard needs and this version of Airflow does not have."""
    for path, parameters in _PARAMETERS.items():
        class_name, method_name = path.split(".")
        method = getattr(getattr(module, class_name, None), method_name, None)
        if method is None:
            return f"it has no {path}"
        if missing := sorted(parameters - inspect.signature(method).parameters.keys()):
            return f"{path} has no parameter {missing[0]}"
    workload_class = getattr(getattr(module, "workloads", None), "RunTrigger", None)
    if missing := sorted(_WORKLOAD_FIELDS - getattr(workload_class, "model_fields", {}).keys()):
        return f"RunTrigger has no field {missing[0]}"
    return None


def _guard_start(job_runner_class: Any, problem: str | None) -> None:
    """End a triggerer at its start if its triggers would not be judged: an unguarded one is worse than none."""
    execute = job_runner_class._execute

    @wraps(execute)
    def execute_guarded(job_runner: Any) -> Any:
        try:
            is_enabled = read_contract().isolation.enabled
        except ContractError as error:
            sys.exit(f"The triggerer cannot start: {error}")
        if is_enabled and problem is not None:
            sys.exit(_refuse_start(problem))
        log.info("Triggers of tasks are %s.", "judged before they run" if is_enabled else "not judged")
        return execute(job_runner)

    job_runner_class._execute = execute_guarded


def _refuse_start(problem: str) -> str:
    from airflow import __version__

    return (
        f"The triggerer cannot start: kpo-platform cannot judge the triggers of Airflow {__version__} ({problem}). "
        "Use an Airflow version that kpo-platform supports, or set isolation.enabled to false to run every trigger."
    )
