"""Log triggers that the triggerer will refuse, when a DAG is parsed. The DAG is loaded all the same."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from kpo_platform.airflow.guards.triggers.dag_triggers import (
    find_refused_triggers_of_dag,
    find_refused_triggers_of_task,
)
from kpo_platform.contract import Contract
from kpo_platform.contract import load as load_contract
from kpo_platform.finding import Refusal

log = logging.getLogger(__name__)


def warn_about_dag(dag: Any) -> None:
    """Log the refused deadline callbacks and asset watchers of a DAG."""
    _warn(f"DAG {dag.dag_id}", dag, find_refused_triggers_of_dag)


def warn_about_task(task: Any) -> None:
    """Log the refused triggers of a task."""
    _warn(f"Task {task.task_id} of DAG {task.dag_id}", task, find_refused_triggers_of_task)


def _warn(subject: str, thing: Any, find: Callable[[Any, Contract], list[Refusal]]) -> None:
    try:
        for refusal in find(thing, load_contract()):
            log.warning("%s: %s", subject, refusal)
    except Exception as error:  # a warning must not become an import error
        log.warning("%s: cannot check its triggers (%s: %s).", subject, type(error).__name__, error)
