"""Tasks of group `triggers`: team TEAM's tasks name triggers that must not run, and some that must.

The tests also push this file for the other team. It imports no provider for Kubernetes, which takes seconds: more than
thirty of its tasks start at the same time.
"""

from __future__ import annotations

import json
import logging
import os
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.standard.triggers.temporal import DateTimeTrigger
from airflow.sdk import DAG, BaseOperator
from airflow.triggers.base import BaseTrigger
from own_token import open_client

TEAM, OTHER = "beta", "alpha"

MARKER = "/tmp/attack-of-a-trigger"
"""Start of the names of the files that the attacks would write."""

POD_TRIGGER = "airflow.providers.cncf.kubernetes.triggers.pod.KubernetesPodTrigger"
JOB_TRIGGER = "airflow.providers.cncf.kubernetes.triggers.job.KubernetesJobTrigger"
STANDARD = "airflow.providers.standard.triggers"
POD = {
    "pod_name": "absent",
    "pod_namespace": f"team-{TEAM}",
    "trigger_start_time": "2026-01-01T00:00:00+00:00",
    "base_container_name": "base",
    "kubernetes_conn_id": "k8s_default",
}
JOB = {"job_name": "absent", "job_namespace": f"team-{TEAM}", "pod_names": ["absent"], "pod_namespace": f"team-{TEAM}"}


def touch(name: str) -> str:
    """Return a command that writes a marker file."""
    return f"touch {MARKER}-{name}"


def build_kubeconfig(name: str) -> dict[str, Any]:
    """Return a kubeconfig whose login program writes a marker file."""
    program = {"apiVersion": "client.authentication.k8s.io/v1", "command": "sh", "interactiveMode": "Never"}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {"exec": {**program, "args": ["-c", touch(name)]}}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }


ATTACKS: dict[str, tuple[str, dict[str, Any]]] = {
    "function": ("subprocess.getoutput", {"cmd": touch("function")}),
    "system": ("os.system", {"command": touch("system")}),
    "module": ("this.d", {}),
    "no_class": ("getoutput", {}),
    "callback": (
        "airflow.triggers.callback.CallbackTrigger",
        {"callback_path": "subprocess.getoutput", "callback_kwargs": {"cmd": touch("callback")}},
    ),
    "file": (f"{STANDARD}.file.FileTrigger", {"filepath": "/opt/kpo-platform/config/airflow.cfg"}),
    "alias": ("kpo_platform.airflow.guards.triggers.runner.sys.exit", {}),
    "config_dict": (POD_TRIGGER, {**POD, "config_dict": build_kubeconfig("config_dict")}),
    "config_file": (JOB_TRIGGER, {**JOB, "config_file": "/tmp/kubeconfig"}),
    "connection_extras": (
        POD_TRIGGER,
        {**POD, "connection_extras": {"kube_config": json.dumps(build_kubeconfig("connection_extras"))}},
    ),
    "other_namespace": (POD_TRIGGER, {**POD, "pod_namespace": f"team-{OTHER}"}),
    "other_connection": (POD_TRIGGER, {**POD, "kubernetes_conn_id": f"{OTHER}_cluster"}),
    "other_dag": (f"{STANDARD}.external_task.DagStateTrigger", {"dag_id": f"triggers_{OTHER}_good", "states": []}),
    "path_in_name": (POD_TRIGGER, {**POD, "pod_name": f"../../team-{OTHER}/pods/x"}),
    "bogus": (POD_TRIGGER, {**POD, "on_finish_action": "bogus"}),
    "unknown_argument": (POD_TRIGGER, {**POD, "command": "true"}),
    "missing_argument": (POD_TRIGGER, {"pod_namespace": f"team-{TEAM}"}),
    "no_pause": (POD_TRIGGER, {**POD, "poll_interval": 0}),
}
"""Attacks: name → class path and arguments."""

STORED: dict[str, tuple[str, Any]] = {
    "encrypted": (POD_TRIGGER, "gAAAAABnot-a-token"),
    "text": (POD_TRIGGER, "{"),
    "object": (
        f"{STANDARD}.temporal.DateTimeTrigger",
        {
            "moment": {
                "__classname__": "airflow.sdk.definitions.connection.Connection",
                "__version__": 1,
                "__data__": {},
            }
        },
    ),
    "old_object": (f"{STANDARD}.temporal.DateTimeTrigger", {"moment": {"__type": "connection", "__var": {}}}),
}
"""Arguments that only a request of its own can store: name → class path and arguments."""


class NamedTrigger(BaseTrigger):
    """A trigger that names another class and its arguments."""

    def __init__(self, path: str, arguments: dict[str, Any]) -> None:
        super().__init__()
        self.named = path, arguments

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the other class and its arguments."""
        return self.named

    async def run(self) -> Any:
        """Never run."""
        raise NotImplementedError
        yield


class AttackOperator(BaseOperator):
    """Defer to a trigger of `ATTACKS`, and fail if it fires."""

    def __init__(self, attack: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.attack = attack

    def execute(self, context: Any) -> None:
        """Defer."""
        self.defer(trigger=NamedTrigger(*ATTACKS[self.attack]), method_name="resume")

    def resume(self, context: Any, event: Any = None) -> None:
        """Fail."""
        raise RuntimeError(f"The trigger sent {event}")


class StoredOperator(AttackOperator):
    """Defer to a trigger of `STORED` with a request of its own, and end without another report."""

    def execute(self, context: Any) -> None:
        """Send the request."""
        path, arguments = STORED[self.attack]
        body = {"state": "deferred", "classpath": path, "trigger_kwargs": arguments, "next_method": "resume"}
        response = open_client().patch(f"/task-instances/{context['ti'].id}/state", json=body)
        logging.getLogger(__name__).info("The API server responded with %s", response.status_code)
        os._exit(0)


class GoodOperator(BaseOperator):
    """Wait in the triggerer for some seconds."""

    def __init__(self, seconds: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seconds = seconds

    def execute(self, context: Any) -> None:
        """Defer."""
        self.defer(trigger=DateTimeTrigger(datetime.now(UTC) + timedelta(seconds=self.seconds)), method_name="resume")

    def resume(self, context: Any, event: Any = None) -> None:
        """End."""


DEFAULTS = {"retries": 0}

for name in ATTACKS:
    with DAG(f"triggers_{TEAM}_{name}", schedule=None, default_args=DEFAULTS):
        AttackOperator(task_id="work", attack=name)

for name in STORED:
    with DAG(f"triggers_{TEAM}_{name}", schedule=None, default_args=DEFAULTS):
        StoredOperator(task_id="work", attack=name)

MALFORMED = [name for name in ATTACKS if name != "connection_extras"]
with DAG(f"triggers_{TEAM}_malformed", schedule=None, default_args=DEFAULTS):
    AttackOperator.partial(task_id="work").expand(attack=[MALFORMED[number % len(MALFORMED)] for number in range(100)])

with DAG(f"triggers_{TEAM}_good", schedule=None, default_args=DEFAULTS):
    GoodOperator.partial(task_id="work").expand(seconds=[30] * 20)

with DAG(f"triggers_{TEAM}_immediate", schedule=None, default_args=DEFAULTS):
    GoodOperator.partial(task_id="work").expand(seconds=[0] * 40)
