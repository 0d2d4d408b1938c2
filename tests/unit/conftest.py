"""Fixtures of several unit tests: platformctl, a published contract, pods of TeamPodOperator, followed logs."""

from __future__ import annotations

import os
from importlib.util import find_spec

from unit.support.airflow_database import airflow_database, empty_airflow_database
from unit.support.airflow_secrets import forget_secrets
from unit.support.in_process_ansible import ansible_in_process
from unit.support.in_process_offline import offline_in_process
from unit.support.platformctl import cluster, platformctl
from unit.support.published_contract import build, publish
from unit.support.triggerer import triggerer

if find_spec("airflow") is not None:  # the environment of the stage `newer` has none
    from unit.support.log_following import follow, server, written
    from unit.support.pod_trigger import trigger_log
    from unit.support.task_ends import alarm
    from unit.support.task_process import fake_cluster, start_task
    from unit.support.task_restarts import task_process
    from unit.support.task_states import task_states
os.environ.pop("KUBECONFIG", None)  # tasks and commands would look for the developer's cluster

if find_spec("hypothesis") is not None:
    from hypothesis import settings

    settings.register_profile("any machine", deadline=None)  # how long an example takes says nothing here
    settings.load_profile("any machine")

__all__ = [
    "airflow_database",
    "alarm",
    "ansible_in_process",
    "build",
    "cluster",
    "empty_airflow_database",
    "fake_cluster",
    "follow",
    "forget_secrets",
    "offline_in_process",
    "platformctl",
    "publish",
    "server",
    "start_task",
    "task_process",
    "task_states",
    "trigger_log",
    "triggerer",
    "written",
]
