"""Airflow plugin that reloads the settings file at the start of every task.

With LocalExecutor, a task is a fork of the scheduler and inherits the settings that the scheduler read at its start. If
a team is added later, the mounted file contains the team's repository, but the team's tasks would fail with "Requested
bundle 'x' is not configured" until the scheduler restarts, which interrupts other teams' tasks. So the task's process
reads the file again before Airflow looks for the DAG. ``on_starting`` is the first listener hook that Airflow calls
there.

In the dag-processor the plugin also imports TeamPodOperator and the check of triggers before the processor forks a
process per file. Airflow preloads only its own modules; without this, parsing every file would take two seconds longer.
"""

from __future__ import annotations

import importlib
import sys

from airflow.configuration import AIRFLOW_CONFIG, conf
from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin


@hookimpl
def on_starting(component: object) -> None:
    """Reload Airflow's settings, whichever component starts."""
    conf.read(AIRFLOW_CONFIG)
    if "dag-processor" in sys.argv:
        importlib.import_module("kpo_platform.airflow.operators.team_pod")
        importlib.import_module("kpo_platform.airflow.policies.trigger_warnings")


class ReloadSettingsPlugin(AirflowPlugin):
    """The plugin class of the entry point; this module is its listener."""

    name = "kpo_platform"
    listeners = [sys.modules[__name__]]  # noqa: RUF012 - declared so by Airflow
