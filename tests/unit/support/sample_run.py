"""A DAG whose tasks ``platformctl run`` runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from unit.support.http_server import Server

DAG = """
from datetime import timedelta
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk import DAG
from kpo_platform import TeamPodOperator

with DAG("sample", schedule=None):
    TeamPodOperator(task_id="made", image="busybox:1.35", cmds=["echo", "{{ ds }}"])
    TeamPodOperator(task_id="kept", image="busybox:1.35", on_finish_action="keep_pod", on_kill_action="keep_pod")
    TeamPodOperator(task_id="short", image="busybox:1.35", execution_timeout=timedelta(seconds=1))
    TeamPodOperator(task_id="skips", image="busybox:1.35", skip_on_exit_code=7)
    TeamPodOperator(task_id="waits", image="busybox:1.35", schedule_timeout_seconds=1)
    TeamPodOperator(task_id="elsewhere", image="busybox:1.35", in_cluster=True)
    TeamPodOperator.partial(task_id="each", image="busybox:1.35").expand(cmds=[["echo", "a"], ["echo", "b"]])
    TeamPodOperator(task_id="later", image="busybox:{{ params.get('tag', 'latest') }}")
    KubernetesPodOperator(task_id="stock", image="busybox:1.35", cmds=["echo", "hello"])
"""


def write_sample(folder: Path, server: Server) -> Callable[..., tuple[str, ...]]:
    """Write the DAG, and return what builds the command line that runs one of its tasks."""
    dags = folder / "dags"
    (dags / "alpha").mkdir(parents=True)
    (dags / "alpha" / "sample.py").write_text(DAG)
    options = ("--folder", str(dags), "--kubeconfig", server.kubeconfig(folder))
    return lambda task, *more: ("run", "sample", task, *options, *more)
