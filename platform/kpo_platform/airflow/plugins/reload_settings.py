"""Airflow plugin that reloads the settings file at the start of every task.

With LocalExecutor, a task is a fork of the scheduler and inherits the settings that the scheduler read at its start. If
a team is added later, the mounted file contains the team's repository, but the team's tasks would fail with "Requested
bundle 'x' is not configured" until the scheduler restarts, which interrupts other teams' tasks. So the task's process
reads the file again before Airflow looks for the DAG. ``on_starting`` is the first listener hook that Airflow calls
there.

The plugin also imports what the forks of the dag-processor, or of the scheduler with LocalExecutor, need.
"""

from __future__ import annotations

import sys

from airflow.configuration import AIRFLOW_CONFIG, conf
from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin

from kpo_platform.airflow.preload import preload_modules


@hookimpl
def on_starting(component: object) -> None:
    """Reload Airflow's settings, whichever component starts, and import what its forks need."""
    conf.read(AIRFLOW_CONFIG)
    preload_modules(conf.get("core", "executor"))


class ReloadSettingsPlugin(AirflowPlugin):
    """The plugin class of the entry point; this module is its listener."""

    name = "kpo_platform"
    listeners = [sys.modules[__name__]]  # noqa: RUF012 - declared so by Airflow
