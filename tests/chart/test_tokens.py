"""Containers with a service account token, in all variants of the chart."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from chart.rendering import Object, find_object, list_containers, map_pods_by_component, render

EVERYTHING: Object = {
    "teams": {"alpha": {"cleanup": {"maxAge": 60}, "dags": {"repo": "https://git.example/alpha.git"}}},
    "dags": {"gitSync": {"enabled": True, "repo": "https://git.example/dags.git"}},
    "databaseCleanup": {"enabled": True},
    "statsd": {"enabled": True},
    "logs": {"persistence": {"existingClaim": "logs"}},
}
"""Values that render every pod that does not depend on the executor, and every sidecar."""

JOBS = {"cleanup": {"clean-up"}, "secrets": {"make-secrets"}, "test": {"try-teams"}}
TOKEN = {
    "name": "token",
    "projected": {
        "sources": [
            {"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
        ]
    },
}
MOUNT = {"name": "token", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "readOnly": True}


def render_pods(values: Object) -> dict[str, Object]:
    """Return the pods of the release, and the task pod of KubernetesExecutor."""
    objects = render(values)
    pods = map_pods_by_component(objects)
    if values.get("executor") == "KubernetesExecutor":
        config: dict[str, Any] = find_object(objects, "ConfigMap", "airflow-config")["data"]
        pods["task"] = yaml.safe_load(config["task-pod.yaml"])
    return pods


def list_token_containers(values: Object) -> dict[str, set[str]]:
    """Return the containers that mount a token, by component."""
    holders: dict[str, set[str]] = {}
    for component, pod in render_pods(values).items():
        spec = pod["spec"]
        assert spec["automountServiceAccountToken"] is False, component
        volumes = [volume for volume in spec.get("volumes", []) if "serviceAccountToken" in str(volume)]
        names = {volume["name"] for volume in volumes}
        mounts = {
            container["name"]: mount
            for container in list_containers(pod)
            for mount in container.get("volumeMounts", [])
            if mount["name"] in names
        }
        assert volumes == [TOKEN] * len(volumes), component
        assert list(mounts.values()) == [MOUNT] * len(mounts), component
        if volumes:
            holders[component] = set(mounts)
    return holders


@pytest.mark.parametrize(
    ("executor", "task_runners"),
    [
        ("LocalExecutor", {"scheduler": {"scheduler"}}),
        ("CeleryExecutor", {"worker": {"worker"}}),
        ("KubernetesExecutor", {"scheduler": {"scheduler"}, "task": {"base"}}),
    ],
)
def test_only_the_main_container_has_a_token(executor: str, task_runners: dict[str, set[str]]) -> None:
    assert list_token_containers({**EVERYTHING, "executor": executor}) == {
        **JOBS,
        "triggerer": {"triggerer"},
        **task_runners,
    }


def test_only_jobs_of_the_team_layer_have_a_token() -> None:
    airflow = {"enabled": False, "serviceAccounts": [{"name": "scheduler", "namespace": "airflow"}]}
    teams = {"alpha": {"cleanup": {"maxAge": 60}}}
    assert list_token_containers({"airflow": airflow, "teams": teams}) == {
        name: JOBS[name] for name in ("cleanup", "test")
    }


def test_no_service_account_mounts_its_token_automatically() -> None:
    accounts = [item for item in render(EVERYTHING) if item["kind"] == "ServiceAccount"]
    assert {account["automountServiceAccountToken"] for account in accounts} == {False}
