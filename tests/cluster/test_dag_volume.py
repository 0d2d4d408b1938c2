"""DAGs on an external volume, with a folder per team."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import yaml

from cluster.support.airflow_runs.dag_run import Run
from common.errors import ScriptError
from common.steps import Steps
from stack.airflow_api import AirflowApi
from stack.install import install_release
from stack.release import NAMESPACE, Stack

DAG = """
from airflow.sdk import DAG
from kpo_platform import TeamPodOperator

with DAG("{name}", schedule=None):
    TeamPodOperator(task_id="work", image="busybox:1.35", cmds=["true"], do_xcom_push=False)
"""
CLAIM = "shared-dags"
VALUES = {
    "dags": {"persistence": {"existingClaim": CLAIM, "subPath": "dags"}},
    "config": {"dag_processor": {"refresh_interval": 5}},
}
FILLER = "filler"


def filler_objects() -> list[dict[str, object]]:
    """Return the claim, and a pod that writes to it."""
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Mi"}}}
    container_security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    container = {
        "name": "filler",
        "image": "localhost/kpo-platform/busybox:1.35",
        "command": ["sleep", "3600"],
        "securityContext": container_security,
        "volumeMounts": [{"name": "dags", "mountPath": "/volume"}],
    }
    pod_security = {
        "runAsNonRoot": True,
        "runAsUser": 50000,
        "fsGroup": 0,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    volume = {"name": "dags", "persistentVolumeClaim": {"claimName": CLAIM}}
    pod = {"containers": [container], "volumes": [volume], "securityContext": pod_security}
    return [
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": CLAIM}, "spec": spec},
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": FILLER}, "spec": {**pod, "restartPolicy": "Never"}},
    ]


def write_dag(stack: Stack, team: str, name: str) -> None:
    """Write a DAG to a team's folder on the volume."""
    script = f"mkdir -p /volume/dags/{team} && cat > /volume/dags/{team}/{name}.py"
    stack.kubectl("exec", "-i", FILLER, "-n", NAMESPACE, "--", "sh", "-c", script, stdin=DAG.format(name=name))


@pytest.fixture(scope="module")
def volume(stack: Stack, airflow: AirflowApi, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A volume with a DAG of team beta in the release; both are removed afterwards."""
    values = tmp_path_factory.mktemp("values") / "volume.yaml"
    values.write_text(yaml.safe_dump(VALUES))
    try:
        for item in filler_objects():
            stack.kubectl("create", "-n", NAMESPACE, "-f", "-", stdin=json.dumps(item))
        stack.kubectl("wait", f"pod/{FILLER}", "-n", NAMESPACE, "--for=condition=Ready", "--timeout=90s", timeout_s=100)
        write_dag(stack, "beta", "volume_first")
        install_release(Steps(), stack, values)
        yield
    finally:
        install_release(Steps(), stack)
        stack.kubectl("delete", f"pod/{FILLER}", "-n", NAMESPACE, "--ignore-not-found", "--now", timeout_s=90)
        stack.kubectl("delete", "pvc", CLAIM, "-n", NAMESPACE, "--ignore-not-found", timeout_s=90)


def wait_for_dag(stack: Stack, airflow: AirflowApi, name: str) -> str:
    """Wait until Airflow has loaded a DAG, and return its bundle; an earlier run of this test leaves a stale one."""
    try:
        details = airflow.wait_for_dag(name, lambda details: not details["is_stale"], "from its file", 180)
        return str(details["bundle_name"])
    except ScriptError as error:
        error.add_note(stack.kubectl("logs", "deployment/airflow-dag-processor", "-n", NAMESPACE, "--tail=40"))
        raise


def test_dag_in_a_team_folder_runs_for_the_team(stack: Stack, airflow: AirflowApi, volume: None):
    assert wait_for_dag(stack, airflow, "volume_first") == "shared-dags"
    run = Run(stack, airflow, "volume_first", airflow.trigger_run("volume_first"), "team-beta")
    assert run.wait_for_end() == "success", run.read_log()
    assert run.task_instance()["pool"] == "team-beta"


def test_later_file_is_loaded(stack: Stack, airflow: AirflowApi, volume: None):
    write_dag(stack, "alpha", "volume_later")
    assert wait_for_dag(stack, airflow, "volume_later") == "shared-dags"


def test_airflow_cannot_write_to_the_volume(stack: Stack, volume: None):
    for workload in ("statefulset/airflow-scheduler", "deployment/airflow-dag-processor"):
        script = "touch /opt/airflow/shared/mine 2>&1 || true"
        output = stack.kubectl(
            "exec", workload, "-n", NAMESPACE, "-c", workload.partition("airflow-")[2], "--", "sh", "-c", script
        )
        assert "Read-only file system" in output
