"""Tasks of group `task-diagnosis`: each has one fault, once in a worker and once deferred."""

from typing import Any

from airflow.sdk import DAG

from kpo_platform import TeamPodOperator

FILE = "/airflow/xcom/return.json"
RESOURCES = {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"cpu": "200m", "memory": "64Mi"}}
FAILING_INIT = {
    "name": "prepare",
    "image": "localhost/kpo-platform/busybox:1.35",
    "command": ["sh", "-c", "exit 4"],
    "resources": RESOURCES,
}


def read_secret(name: str) -> dict[str, Any]:
    """Take the environment from a Secret."""
    return {"spec": {"containers": [{"name": "base", "envFrom": [{"secretRef": {"name": name}}]}]}}


def mount_claim(name: str) -> dict[str, Any]:
    volume = {"name": "v", "persistentVolumeClaim": {"claimName": name}}
    mount = {"name": "v", "mountPath": "/v"}
    return {"spec": {"volumes": [volume], "containers": [{"name": "base", "volumeMounts": [mount]}]}}


def run(program: str) -> dict[str, Any]:
    return {"cmds": ["sh", "-c", program]}


FAULTS: dict[str, dict[str, Any]] = {
    "secret": {"pod_override": read_secret("no-such-settings")},
    "late_secret": {"pod_override": read_secret("late-settings")},
    "claim": {"pod_override": mount_claim("no-such-claim")},
    "image": {"image": "localhost/kpo-platform/no-such-image:1", "image_pull_policy": "Never"},
    "node": {"node_selector": {"kpo-platform.test/no-such-label": "yes"}, "schedule_timeout_seconds": 20},
    "init": {"pod_override": {"spec": {"initContainers": [FAILING_INIT]}}},
    "command": {"cmds": ["no-such-command"]},
    "exit": run("echo 'ValueError: no such table'; exit 3"),
    "memory": run("x=a; while :; do x=$x$x; done"),
    "no_json": {**run(f"echo 'rows: 5' > {FILE}"), "xcom": True},
    "no_result": {**run("true"), "xcom": True},
}

with DAG("task_diagnosis", schedule=None, default_args={"team": "alpha"}, max_active_tasks=12):
    for name, arguments in FAULTS.items():
        for kind, deferrable in {"sync": False, "deferred": True}.items():
            TeamPodOperator(
                task_id=f"{name}_{kind}",
                container_resources=RESOURCES,
                deferrable=deferrable,
                **{"image": "busybox:1.35", "cmds": ["true"], "retries": 0, "defer_after": 0, **arguments},
            )
