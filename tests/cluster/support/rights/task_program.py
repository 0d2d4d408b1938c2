"""Run a TeamPodOperator task of team alpha in a process of its own, for its log.

Usage: python task_program.py KIND, with KUBECONFIG of the account and KPO_PLATFORM_CONTRACT of the contract. The last
line of its output is {"returned", "raised", "pod"} as JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
import tempfile
from pathlib import Path
from typing import Any

KINDS: dict[str, dict[str, Any]] = {
    "waiting": {
        "deferrable": False,
        "do_xcom_push": True,
        "cmds": ["sh", "-c", "echo seen; echo '[1]' > /airflow/xcom/return.json"],
    },
    "deferred": {"deferrable": True, "defer_after": 0, "cmds": ["sleep", "3"]},
    "stock": {"deferrable": True, "engine": "stock", "cmds": ["sleep", "3"]},
    "failing": {"deferrable": False, "on_finish_action": "keep_pod", "cmds": ["false"]},
    "retried": {"deferrable": False, "cmds": ["true"]},
    "unbound": {
        "deferrable": False,
        "schedule_timeout_seconds": 10,
        "cmds": ["true"],
        "pod_override": {"spec": {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "mutation"}}]}},
    },
}


class TaskInstance:
    """The part of a task instance that the operator uses."""

    def __init__(self, try_number: int) -> None:
        self.dag_id, self.task_id, self.run_id = "mutation", "task", f"run-{secrets.token_hex(4)}"
        self.id, self.try_number, self.map_index = self.run_id, try_number, -1
        self.pushed: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        """Record an XCom value."""
        self.pushed[key] = value

    @staticmethod
    def get_task_states(*, task_ids: list[str], run_ids: list[str], **_: Any) -> dict[str, dict[str, str]]:
        """Return the states of tasks that run."""
        return {run_id: dict.fromkeys(task_ids, "running") for run_id in run_ids}


def prepare() -> None:
    """Set Airflow's home and the connection, before Airflow is imported."""
    os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="kpo-platform-airflow-")
    contract = json.loads(Path(os.environ["KPO_PLATFORM_CONTRACT"]).read_text())
    sidecar = contract["xcomSidecar"]
    extra = {
        # Removed from the environment: two configurations of the cluster are an error.
        "kube_config_path": os.environ.pop("KUBECONFIG"),
        "xcom_sidecar_container_image": sidecar["image"],
        "xcom_sidecar_container_resources": json.dumps(sidecar["resources"]),
        "xcom_sidecar_container_security_context": json.dumps(sidecar["securityContext"]),
    }
    os.environ["AIRFLOW_CONN_K8S_DEFAULT"] = json.dumps({"conn_type": "kubernetes", "extra": extra})


def execute(kind: str, ti: TaskInstance) -> Any:
    """Execute the task to its end, including its trigger if it defers."""
    from airflow.sdk import DAG
    from airflow.sdk.exceptions import TaskDeferred

    from kpo_platform import TeamPodOperator

    with DAG(ti.dag_id, schedule=None) as dag:
        task = TeamPodOperator(
            task_id=ti.task_id, team="alpha", image="busybox:1.35", startup_timeout_seconds=60, **KINDS[kind]
        )
    context: Any = {"ti": ti, "task_instance": ti, "task": task, "dag": dag, "run_id": ti.run_id, "params": {}}
    method, arguments = "execute", {}
    while True:
        try:
            return getattr(task, method)(context, **arguments)
        except TaskDeferred as deferral:
            method, arguments = deferral.method_name, {"event": asyncio.run(first_event(deferral.trigger)).payload}


async def first_event(trigger: Any) -> Any:
    """Return the first event of a trigger."""
    async for event in trigger.run():
        return event
    raise RuntimeError("the trigger ended without an event")


def main(kind: str) -> None:
    """Run the task and print its outcome."""
    prepare()
    ti = TaskInstance(try_number=2 if kind == "retried" else 1)
    outcome: dict[str, Any] = {"returned": None, "raised": ""}
    try:
        outcome["returned"] = execute(kind, ti)
    except Exception as error:
        outcome["raised"] = f"{type(error).__name__}: {error}"
    sys.stdout.write(json.dumps({**outcome, "pod": ti.pushed.get("pod_name")}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
