"""Airflow plugin that reloads the settings file at the start of every task.

With LocalExecutor, a task is a fork of the scheduler and inherits the settings that the scheduler read at its start. If
a team is added later, the mounted file contains the team's repository, but the team's tasks would fail with "Requested
bundle 'x' is not configured" until the scheduler restarts, which interrupts other teams' tasks. So the task's process
reads the file again before Airflow looks for the DAG. ``on_starting`` is the first listener hook that Airflow calls
there.

Two components fork a process for each piece of work, so the plugin imports for them what each of these would import:
the dag-processor, per file, and the scheduler with LocalExecutor, per task. Airflow preloads only its own modules;
without this, each process would spend most of a second, and 75 MiB, on the import of TeamPodOperator.
"""

from __future__ import annotations

import importlib
import multiprocessing
import sys

from airflow.configuration import AIRFLOW_CONFIG, conf
from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin

_OPERATOR = "kpo_platform.airflow.operators.team_pod"


@hookimpl
def on_starting(component: object) -> None:
    """Reload Airflow's settings, whichever component starts, and import what its forks need."""
    conf.read(AIRFLOW_CONFIG)
    if "dag-processor" in sys.argv:
        _import(_OPERATOR, "kpo_platform.airflow.policies.trigger_warnings")
    elif _OPERATOR not in sys.modules and _forks_tasks():
        _import(_OPERATOR, "airflow.sdk.execution_time.supervisor")
        from airflow.dag_processing.bundles.manager import DagBundlesManager

        DagBundlesManager()  # type: ignore[no-untyped-call]  # imports bundles' classes; git's starts a process, too


def _forks_tasks() -> bool:
    """Tell whether tasks are forks of this process. Otherwise also a task without a pod would import the operator."""
    is_local = "scheduler" in sys.argv and "LocalExecutor" in conf.get("core", "executor")
    return is_local and multiprocessing.get_start_method() == "fork"


def _import(*names: str) -> None:
    for name in names:
        importlib.import_module(name)


class ReloadSettingsPlugin(AirflowPlugin):
    """The plugin class of the entry point; this module is its listener."""

    name = "kpo_platform"
    listeners = [sys.modules[__name__]]  # noqa: RUF012 - declared so by Airflow
