"""Airflow's metrics by OpenTelemetry, with only the settings from docs/metrics.md."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.support.airflow_runs.dag_run import Run
from cluster.support.docs.commands import read_commands
from cluster.support.rights.airflow_users import push_team_dags
from common.polling import NotYet, wait_for
from common.steps import Steps
from images.recipes import AIRFLOW
from stack.airflow_api import AirflowApi
from stack.install import install_release
from stack.release import Stack

NAMESPACE = "monitoring"
PROGRAM = Path(__file__).parent / "files" / "collector.py"
LABELS = {"app": "collector"}
HEARTBEATS = {"airflow.scheduler_heartbeat", "airflow.dag_processor_heartbeat", "airflow.triggerer_heartbeat"}
"""The heartbeat metric of each component that has one."""


def release_values() -> dict[str, Any]:
    """Return the page's values, with a shorter interval than Airflow's minute."""
    (block,) = read_commands("metrics.md", "OpenTelemetry", "yaml")
    values: dict[str, Any] = yaml.safe_load(block)
    values["config"]["metrics"]["otel_interval_milliseconds"] = "2000"
    return values


def collector_objects() -> list[dict[str, Any]]:
    """Return the objects of the collector at the page's address."""
    container = {
        "name": "collector",
        "image": AIRFLOW.reference,
        "command": ["python", "-c", PROGRAM.read_text()],
        "readinessProbe": {"httpGet": {"path": "/", "port": 4318}, "periodSeconds": 1},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    security = {"runAsNonRoot": True, "runAsUser": 50000, "seccompProfile": {"type": "RuntimeDefault"}}
    meta = {"name": "collector", "namespace": NAMESPACE, "labels": LABELS}
    restricted = {"pod-security.kubernetes.io/enforce": "restricted"}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": restricted}},
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": meta,
            "spec": {"automountServiceAccountToken": False, "securityContext": security, "containers": [container]},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": meta,
            "spec": {"selector": LABELS, "ports": [{"port": 4318}]},
        },
    ]


@pytest.fixture(scope="module")
def collector(stack: Stack, airflow: AirflowApi, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The collector's address; the release sends metrics to it during the tests."""
    values = tmp_path_factory.mktemp("values") / "otel.yaml"
    values.write_text(yaml.safe_dump(release_values()))
    try:
        stack.kubectl("apply", "--server-side", "-f", "-", stdin=yaml.safe_dump_all(collector_objects()))
        stack.kubectl("wait", "pod/collector", "-n", NAMESPACE, "--for=condition=Ready", "--timeout=90s", timeout_s=100)
        install_release(Steps(), stack, values)
        yield f"http://{stack.service_address('collector', NAMESPACE)}"
    finally:
        install_release(Steps(), stack)
        stack.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", timeout_s=120)


def read_metrics(collector: str) -> dict[str, list[dict[str, Any]]]:
    """Return the last data points by metric."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(collector, timeout=10) as response:
        metrics: dict[str, list[dict[str, Any]]] = json.load(response)
        return metrics


def read_labels(point: dict[str, Any]) -> dict[str, str]:
    """Return the labels of a data point."""
    return {attribute["key"]: str(next(iter(attribute["value"].values()))) for attribute in point.get("attributes", [])}


def test_every_component_sends_its_heartbeat(collector: str):
    def probe() -> None:
        if missing := HEARTBEATS - set(metrics := read_metrics(collector)):
            raise NotYet(f"{sorted(missing)} are missing in {sorted(metrics)}")

    wait_for("the heartbeats of all components", probe, 120, interval_s=2)


def test_metrics_are_labelled_by_pool_dag_and_state(stack: Stack, airflow: AirflowApi, collector: str):
    push_team_dags(stack, airflow)
    run = Run(stack, airflow, "people_alpha", airflow.trigger_run("people_alpha"))
    assert run.wait_for_end() == "success", run.read_log()

    def probe() -> None:
        metrics = read_metrics(collector)
        pools = {read_labels(point).get("pool_name") for point in metrics.get("airflow.pool.open_slots", [])}
        ends = [read_labels(point) for point in metrics.get("airflow.ti.finish", [])]
        own_ends = [end for end in ends if (end.get("dag_id"), end.get("state")) == ("people_alpha", "success")]
        if not ({"team-alpha", "team-beta"} <= pools and own_ends):
            raise NotYet(f"pools {pools}, ends of tasks {ends}, metrics {sorted(metrics)}")

    wait_for("the pools, and the end of the task", probe, 120, interval_s=2)
