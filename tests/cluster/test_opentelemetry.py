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
from stack.airflow_api import AirflowApi
from stack.install import install_release
from stack.release import VALUES, Stack

SPACE = "monitoring"
PROGRAM = Path(__file__).parent / "files" / "collector.py"
LABELS = {"app": "collector"}
PARTS = {"airflow.scheduler_heartbeat", "airflow.dag_processor_heartbeat", "airflow.triggerer_heartbeat"}
"""One metric of each part that sends any."""


def settings() -> dict[str, Any]:
    """The page's settings; a test waits for no minute, which is Airflow's interval."""
    (block,) = read_commands("metrics.md", "OpenTelemetry", "yaml")
    values: dict[str, Any] = yaml.safe_load(block)
    values["config"]["metrics"]["otel_interval_milliseconds"] = "2000"
    return values


def objects() -> list[dict[str, Any]]:
    """The collector where the page has it."""
    image = yaml.safe_load(VALUES.read_text())["images"]["airflow"]
    container = {
        "name": "collector",
        "image": f"{image['repository']}:{image['tag']}",
        "command": ["python", "-c", PROGRAM.read_text()],
        "readinessProbe": {"httpGet": {"path": "/", "port": 4318}, "periodSeconds": 1},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    security = {"runAsNonRoot": True, "runAsUser": 50000, "seccompProfile": {"type": "RuntimeDefault"}}
    meta = {"name": "collector", "namespace": SPACE, "labels": LABELS}
    restricted = {"pod-security.kubernetes.io/enforce": "restricted"}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE, "labels": restricted}},
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
    """The collector's address; the release sends to it, and afterwards no more."""
    values = tmp_path_factory.mktemp("values") / "otel.yaml"
    values.write_text(yaml.safe_dump(settings()))
    try:
        stack.kubectl("apply", "--server-side", "-f", "-", stdin=yaml.safe_dump_all(objects()))
        stack.kubectl("wait", "pod/collector", "-n", SPACE, "--for=condition=Ready", "--timeout=90s", timeout_s=100)
        install_release(Steps(), stack, values)
        yield f"http://{stack.service_address('collector', SPACE)}"
    finally:
        install_release(Steps(), stack)
        stack.kubectl("delete", "namespace", SPACE, "--ignore-not-found", timeout_s=120)


def sent(collector: str) -> dict[str, list[dict[str, Any]]]:
    """Metric → what Airflow sent last."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(collector, timeout=10) as answer:
        found: dict[str, list[dict[str, Any]]] = json.load(answer)
        return found


def labels(point: dict[str, Any]) -> dict[str, str]:
    """The labels of what was measured."""
    return {one["key"]: str(next(iter(one["value"].values()))) for one in point.get("attributes", [])}


def test_every_part_of_airflow_sends_its_metrics(collector: str):
    def probe() -> None:
        if missing := PARTS - set(found := sent(collector)):
            raise NotYet(f"{sorted(missing)} are missing among {sorted(found)}")

    wait_for("metrics of every part", probe, 120, interval_s=2)


def test_a_team_is_known_by_its_pool_and_a_task_s_end_by_dag_and_state(
    stack: Stack, airflow: AirflowApi, collector: str
):
    push_team_dags(stack, airflow)
    run = Run(stack, airflow, "people_alpha", airflow.trigger_run("people_alpha"))
    assert run.wait_for_end() == "success", run.read_log()

    def probe() -> None:
        found = sent(collector)
        pools = {labels(point).get("pool_name") for point in found.get("airflow.pool.open_slots", [])}
        ends = [labels(point) for point in found.get("airflow.ti.finish", [])]
        mine = [end for end in ends if (end.get("dag_id"), end.get("state")) == ("people_alpha", "success")]
        if not ({"team-alpha", "team-beta"} <= pools and mine):
            raise NotYet(f"pools {pools}, ends of tasks {ends}, metrics {sorted(found)}")

    wait_for("the pools, and the end of the task", probe, 120, interval_s=2)
