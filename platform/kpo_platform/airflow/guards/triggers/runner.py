"""Guard the triggerer: replace the methods of Airflow that prepare, create and run triggers."""

from __future__ import annotations

import inspect
import logging
import sys
from functools import wraps
from typing import Any

from airflow import __version__

from kpo_platform.airflow.guards.contract_file import read_contract
from kpo_platform.airflow.guards.triggers.child_process import guard_runner
from kpo_platform.airflow.guards.triggers.stored_arguments import guard_decryption
from kpo_platform.airflow.guards.triggers.supervisor import guard_supervisor
from kpo_platform.errors import ContractError

log = logging.getLogger(__name__)

_AIRFLOW = "3.3"

_PARAMETERS = {
    "TriggerRunnerSupervisor._create_workload": {"self", "trigger", "session"},
    "TriggerRunnerSupervisor.update_triggers": {"self", "requested_trigger_ids"},
    "TriggerRunnerSupervisor.on_trigger_event": {"self", "trigger_id", "event"},
    "TriggerRunnerSupervisor.on_trigger_failure": {"self", "trigger_id", "exc"},
    "TriggerRunner.create_triggers": {"self"},
    "TriggerRunner.get_trigger_by_classpath": {"self", "classpath"},
    "TriggerRunner.asend": {"self", "msg"},
    "TriggerRunner.run_trigger": {"self", "trigger_id", "trigger"},
    "Trigger._decrypt_kwargs": {"encrypted_kwargs"},
    "TriggererJobRunner.__init__": {"self"},
}
"""The methods that the guard replaces, and the parameters that it needs."""

_WORKLOAD_FIELDS = {"id", "classpath", "encrypted_kwargs", "ti", "dag_data", "dag_run_data"}


def guard_triggerer() -> None:
    """Guard the module ``airflow.jobs.triggerer_job_runner`` after its import.

    The API server imports it too. So a guard that cannot be installed ends the process only if it is a triggerer: an
    unguarded one is worse than none. It ends before Airflow starts its log server, which would keep it alive.
    """
    from airflow.jobs import triggerer_job_runner as module

    problem = find_problem(module)
    if problem is None:
        guard_supervisor(module.TriggerRunnerSupervisor)
        guard_runner(module.TriggerRunner)
        guard_decryption(vars(module)["Trigger"])
    if "triggerer" in sys.argv[1:2]:
        _check_start(problem)
    if hasattr(module, "TriggererJobRunner"):
        _guard_start(module.TriggererJobRunner, problem)


def find_problem(module: Any) -> str | None:
    """Find what the guard needs and this version of Airflow does not have."""
    for path, parameters in _PARAMETERS.items():
        class_name, method_name = path.split(".")
        owner = getattr(module, class_name, None)
        if owner is None or not hasattr(owner, method_name):
            return f"it has no {path}"
        method = getattr(owner, method_name)
        if missing := sorted(parameters - inspect.signature(method).parameters.keys()):
            return f"{path} has no parameter {missing[0]}"
    workload_class = getattr(getattr(module, "workloads", None), "RunTrigger", None)
    if missing := sorted(_WORKLOAD_FIELDS - getattr(workload_class, "model_fields", {}).keys()):
        return f"RunTrigger has no field {missing[0]}"
    return None


def _guard_start(job_runner_class: Any, problem: str | None) -> None:
    """Check again when a triggerer is created, for one that was not started by the command ``airflow triggerer``."""
    init = job_runner_class.__init__

    @wraps(init)
    def init_guarded(job_runner: Any, *args: Any, **kwargs: Any) -> None:
        _check_start(problem)
        init(job_runner, *args, **kwargs)

    job_runner_class.__init__ = init_guarded


def _check_start(problem: str | None) -> None:
    """End a triggerer whose triggers would not be judged, although they should be."""
    try:
        is_enabled = read_contract().isolation.enabled
    except ContractError as error:
        sys.exit(f"The triggerer cannot start: {error}")
    if is_enabled and problem is not None:
        sys.exit(
            f"The triggerer cannot start: kpo-platform cannot judge the triggers of Airflow {__version__} ({problem}). "
            "Use an Airflow version that kpo-platform supports, or set isolation.enabled to false to run every trigger."
        )
    log.info("Triggers of tasks are %s.", "judged before they run" if is_enabled else "not judged")
    if is_enabled and not __version__.startswith(f"{_AIRFLOW}."):
        # 3.4.0b2 checks only that a class path leads to a trigger, after its import. So the guard stays.
        log.warning("kpo-platform judges triggers of Airflow %s, but is made for %s.", __version__, _AIRFLOW)
