"""Triggers as Airflow stores them for a deferred task."""

from __future__ import annotations

import datetime
import json
import uuid
from typing import Any

from airflow.providers.cncf.kubernetes.triggers.job import KubernetesJobTrigger
from airflow.providers.cncf.kubernetes.triggers.pod import KubernetesPodTrigger
from airflow.providers.standard.triggers.external_task import DagStateTrigger, WorkflowTrigger
from airflow.providers.standard.triggers.hitl import HITLTrigger
from airflow.providers.standard.triggers.temporal import DateTimeTrigger, TimeDeltaTrigger
from airflow.sdk.serde import serialize
from airflow.triggers.base import BaseTrigger
from airflow.utils.state import DagRunState

from kpo_platform.contract import Contract, parse
from unit.support.contracts import CONTRACT

TASK = "018f3c1e-0000-7000-8000-000000000001"
"""The id of the task instance that waits."""

POD = "airflow.providers.cncf.kubernetes.triggers.pod.KubernetesPodTrigger"
FILE = "airflow.providers.standard.triggers.file.FileTrigger"
CALLBACK = "airflow.triggers.callback.CallbackTrigger"
DATE = "airflow.providers.standard.triggers.temporal.DateTimeTrigger"

START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)

EXEC_KUBECONFIG = {
    "users": [{"name": "u", "user": {"exec": {"apiVersion": "v1", "command": "/bin/touch", "args": ["/tmp/x"]}}}]
}
"""A kubeconfig that runs a program to get credentials."""


def store(trigger: BaseTrigger) -> tuple[str, dict[str, Any]]:
    """Return class path and arguments as a worker sends them (3.3, sdk/execution_time/task_runner.py)."""
    class_path, arguments = trigger.serialize()
    return class_path, json.loads(json.dumps(serialize(arguments)))


def pod_trigger(**arguments: Any) -> KubernetesPodTrigger:
    """Build the trigger that the stock operator defers with, for a pod of team alpha."""
    stock = {
        "pod_name": "load-abc",
        "pod_namespace": "team-alpha",
        "trigger_start_time": START,
        "base_container_name": "base",
        "kubernetes_conn_id": "k8s_default",
        "connection_extras": {"in_cluster": True, "xcom_sidecar_container_image": "alpine:3"},
        "config_dict": None,
        "last_log_time": None,
        "trigger_kwargs": {"_execution_deadline": 1767225600},
    }
    return KubernetesPodTrigger(**{**stock, **arguments})


def job_trigger(**arguments: Any) -> KubernetesJobTrigger:
    """Build the trigger of a stock Job for team alpha."""
    stock = {
        "job_name": "load",
        "job_namespace": "team-alpha",
        "pod_names": ["load-abc"],
        "pod_namespace": "team-alpha",
        "base_container_name": "base",
        "kubernetes_conn_id": "k8s_default",
    }
    return KubernetesJobTrigger(**{**stock, **arguments})


def list_stock_triggers() -> dict[str, BaseTrigger]:
    """Build the triggers with which stock tasks of team alpha defer today."""
    return {
        "pod": pod_trigger(),
        "pod resumed after logs": pod_trigger(last_log_time=START, logging_interval=10),
        "job": job_trigger(),
        "date": DateTimeTrigger(START),
        "duration": TimeDeltaTrigger(datetime.timedelta(minutes=5), end_from_trigger=True),
        "person": HITLTrigger(
            ti_id=uuid.UUID(TASK),
            options=["yes", "no"],
            params={"why": {"value": "", "description": None, "schema": {"type": "string"}}},
            defaults=["no"],
            timeout_datetime=START,
        ),
        "own DAG": WorkflowTrigger(external_dag_id="alpha_dag", run_ids=["manual__2026-01-01T00:00:00+00:00"]),
        "tasks of own DAG": WorkflowTrigger(
            external_dag_id="alpha_dag", external_task_ids={"a", "b"}, logical_dates=[START], allowed_states=["success"]
        ),
        "shared DAG": DagStateTrigger(dag_id="shared_dag", states=[DagRunState.SUCCESS], run_ids=["r1"]),
    }


def build_two_teams(isolation: dict[str, Any] | None = None) -> Contract:
    """Build a contract with the teams alpha and beta, which have connections of their own."""
    alpha = CONTRACT["teams"]["alpha"]
    beta = {**alpha, "namespace": "team-beta", "connection": {**alpha["connection"], "id": "k8s_beta"}}
    return parse(json.dumps({**CONTRACT, "isolation": isolation or {}, "teams": {"alpha": alpha, "beta": beta}}))
