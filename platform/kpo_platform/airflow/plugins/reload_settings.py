"""An Airflow plugin: every task sees the settings as they are now, not as they were when the scheduler started.

With LocalExecutor a task is a fork of the scheduler and inherits the settings that the scheduler read long ago. A
team that came later has its repository in the mounted file, yet its tasks would fail with "Requested bundle 'x' is not
configured" until somebody restarts the scheduler, and with it other teams' tasks. So the file is read again in the
task's own process, before Airflow looks for the DAG: a listener's ``on_starting`` is the first thing called there.

The dag-processor loads TeamPodOperator once, before it forks a process per file: it does so by itself for modules of
Airflow, and only for these, so that every file would take two seconds more.
"""

from __future__ import annotations

import importlib
import sys

from airflow.configuration import AIRFLOW_CONFIG, conf
from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin


@hookimpl
def on_starting(component: object) -> None:
    """Read Airflow's settings again; the component that starts is of no matter."""
    conf.read(AIRFLOW_CONFIG)
    if "dag-processor" in sys.argv:
        importlib.import_module("kpo_platform.airflow.operators.team_pod")


class ReloadSettingsPlugin(AirflowPlugin):
    """What the entry point names: the module itself is the listener."""

    name = "kpo_platform"
    listeners = [sys.modules[__name__]]  # noqa: RUF012 - Airflow declares it so
