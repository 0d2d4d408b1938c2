"""Import what every fork of a process would import, before the process forks.

Three components fork a process for each piece of work: the dag-processor for a file, the scheduler with LocalExecutor
and a Celery worker for a task. Airflow preloads only modules of its own; without this, each of these processes would
spend most of a second, and 75 MiB, on the import of TeamPodOperator.
"""

from __future__ import annotations

import importlib
import logging
import multiprocessing
import sys
from contextlib import suppress
from typing import Any

_OPERATOR = "kpo_platform.airflow.operators.team_pod"
_POLICIES = ("kpo_platform.airflow.policies.dag_access", "kpo_platform.airflow.policies.task_policy")
_LATE = (
    "airflow.providers.standard.operators.empty",
    "airflow.sdk.bases.sensor",
    "airflow.sdk.execution_time.cache",
    "jinja2.ext",
    "kpo_platform.airflow.policies.pod_mutation",
    "text_unidecode",
)
"""Modules that Airflow, the stock operator and the platform import only when a task runs."""


def preload_modules(executor: str) -> None:
    """Import what the forks of this component need, by its command line; `executor` is Airflow's setting."""
    if "dag-processor" in sys.argv:
        _import(_OPERATOR, *_POLICIES, "kpo_platform.airflow.policies.trigger_warnings")
    elif "scheduler" in sys.argv and "LocalExecutor" in executor and multiprocessing.get_start_method() == "fork":
        _preload_for_tasks()  # processes that are not forks would call it, too, and for tasks without a pod


def preload_in_celery_worker() -> None:
    """Let a Celery worker import, with Airflow's own modules, what its tasks need; a failure is logged."""
    if sys.argv[1:3] == ["celery", "worker"]:
        from celery.signals import import_modules

        import_modules.connect(_on_import_modules)


def _on_import_modules(**_: Any) -> None:
    try:
        _preload_for_tasks()
    except Exception:  # it would end the worker
        logging.getLogger(__name__).exception("Cannot preload the modules of tasks; each task imports them itself.")


def _preload_for_tasks() -> None:
    if _OPERATOR in sys.modules:
        return  # in a fork
    _import(_OPERATOR, *_POLICIES, "airflow.sdk.execution_time.supervisor")
    with suppress(ImportError):  # another Airflow may not have them
        _import(*_LATE)
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.sdk.api.client import Client

    DagBundlesManager()  # type: ignore[no-untyped-call]  # imports bundles' classes; git's starts a process, too
    Client(base_url="http://localhost", token="").close()  # keeps its certificates: 60 ms in each supervisor


def _import(*names: str) -> None:
    for name in names:
        importlib.import_module(name)
