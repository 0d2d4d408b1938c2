"""An Airflow that the chart does not install, in one pod with the additions of the release's notes."""

from __future__ import annotations

import json
from pathlib import Path
from secrets import token_hex, token_urlsafe
from typing import Any

from cluster.support.airflow_runs.dag_run import DAGS
from common.polling import NotYet, wait_for
from images.recipes import AIRFLOW
from stack.release import Stack

NAME = "their-airflow"
SCRIPT = Path(__file__).parents[2] / "files" / "existing_airflow.sh"
DAG_FILE = "existing_airflow.py"
BUNDLE = "near-dags"
LOCAL_BUNDLE = "airflow.dag_processing.bundles.local.LocalDagBundle"
LOGS = "/opt/airflow/logs"
READY_S = 900
ENDS = ("success", "failed", "skipped", "upstream_failed")

READ_STATES = """
import json, sqlite3
rows = sqlite3.connect("/tmp/airflow.db").execute("SELECT task_id, state FROM task_instance WHERE dag_id = 'existing'")
print("\\n" + json.dumps(dict(rows)))
"""


def build_objects(
    namespace: str, additions: dict[str, Any], account: str, connection: dict[str, Any]
) -> list[dict[str, Any]]:
    """Return the pod of the Airflow, and the ConfigMap with its program and its DAG.

    Args:
        namespace: the namespace of both.
        additions: `env`, `volumeMounts` and `volumes` as the notes print them.
        account: the service account, which may start pods of the teams.
        connection: the teams' connection.
    """
    environment = {**_build_environment(), "AIRFLOW_CONN_K8S_DEFAULT": json.dumps(connection)}
    metadata = {"name": NAME, "namespace": namespace}
    data = {SCRIPT.name: SCRIPT.read_text(encoding="utf-8"), DAG_FILE: (DAGS / DAG_FILE).read_text(encoding="utf-8")}
    container = {
        "name": "airflow",
        "image": AIRFLOW.reference,
        "args": ["bash", f"/opt/program/{SCRIPT.name}"],
        "env": [*({"name": name, "value": value} for name, value in environment.items()), *additions["env"]],
        "volumeMounts": [
            {"name": "program", "mountPath": "/opt/program"},
            # A single file: a mounted folder has links to its files, which Airflow would load too.
            {"name": "program", "mountPath": f"/opt/{BUNDLE}/{DAG_FILE}", "subPath": DAG_FILE},
            *additions["volumeMounts"],
        ],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    security = {"runAsNonRoot": True, "runAsUser": 50000, "seccompProfile": {"type": "RuntimeDefault"}}
    spec = {
        "serviceAccountName": account,
        "restartPolicy": "Never",
        "securityContext": security,
        "containers": [container],
        "volumes": [{"name": "program", "configMap": {"name": NAME}}, *additions["volumes"]],
    }
    return [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data},
        {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec},
    ]


def _build_environment() -> dict[str, str]:
    bundle = {"name": BUNDLE, "classpath": LOCAL_BUNDLE, "kwargs": {"path": f"/opt/{BUNDLE}"}}
    settings = {
        "CORE__AUTH_MANAGER": "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "CORE__EXECUTION_API_SERVER_URL": "http://localhost:8081/execution/",
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__FERNET_KEY": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__PARALLELISM": "2",
        "API_AUTH__JWT_SECRET": token_urlsafe(32),
        "API__SECRET_KEY": token_hex(16),
        "DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps([bundle]),
        "DATABASE__SQL_ALCHEMY_CONN": "sqlite:////tmp/airflow.db",
        "LOGGING__BASE_LOG_FOLDER": LOGS,
    }
    return {"CONNECTION_CHECK_MAX_COUNT": "0", **{f"AIRFLOW__{name}": value for name, value in settings.items()}}


def wait_for_tasks(stack: Stack, namespace: str) -> dict[str, str]:
    """Wait until all tasks of the DAG have ended, and return their states."""

    def probe() -> dict[str, str]:
        states = json.loads(run_program(stack, namespace, "python", "-c", READ_STATES).splitlines()[-1] or "{}")
        if not states or not all(state in ENDS for state in states.values()):
            raise NotYet(f"tasks {states}")
        return dict(states)

    condition = "--for=condition=Ready"
    stack.kubectl("wait", f"pod/{NAME}", "-n", namespace, condition, "--timeout=120s", timeout_s=130)
    return wait_for("the tasks of the existing Airflow to end", probe, READY_S, interval_s=5)


def run_program(stack: Stack, namespace: str, *command: str) -> str:
    """Run a program in the Airflow's container, and return its output; a failure has none."""
    script = '"$@" 2>/dev/null || true'
    words = ("exec", NAME, "-n", namespace, "--", "bash", "-c", script, "bash", *command)
    return "\n" + stack.kubectl(*words, timeout_s=180)
