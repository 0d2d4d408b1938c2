"""Airflow plugin that reloads the settings file at the start of every task.

With LocalExecutor, a task is a fork of the scheduler and inherits the settings that the scheduler read at its start. If
a team is added later, the mounted file contains the team's repository, but the team's tasks would fail with "Requested
bundle 'x' is not configured" until the scheduler restarts, which interrupts other teams' tasks. So the task's process
reads the file again before Airflow looks for the DAG. ``on_starting`` is the first listener hook that Airflow calls
there.

The plugin also imports TeamPodOperator in two components before they fork: the dag-processor, which forks a process per
file, and the scheduler with LocalExecutor, which forks a process per task. Airflow preloads only its own modules;
without this, each of those processes would spend most of a second, and 75 MiB, on the import.
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
    """Reload Airflow's settings, whichever component starts."""
    conf.read(AIRFLOW_CONFIG)
    for name in _list_preloaded_modules():
        importlib.import_module(name)


def _list_preloaded_modules() -> tuple[str, ...]:
    """List the modules that forks of this process need."""
    if "dag-processor" in sys.argv:
        return _OPERATOR, "kpo_platform.airflow.policies.trigger_warnings"
    if "scheduler" in sys.argv and "LocalExecutor" in conf.get("core", "executor"):
        # Without fork, a task's process inherits nothing, but calls this too, also for a task without a pod.
        return (_OPERATOR,) if multiprocessing.get_start_method() == "fork" else ()
    return ()


class ReloadSettingsPlugin(AirflowPlugin):
    """The plugin class of the entry point; this module is its listener."""

    name = "kpo_platform"
    listeners = [sys.modules[__name__]]  # noqa: RUF012 - declared so by Airflow
