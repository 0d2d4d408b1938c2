"""Which containers hold a token for Kubernetes: of every pod, in every variant of the chart."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from chart.rendering import Object, find_object, list_containers, pods_by_component, render

EVERYTHING: Object = {
    "teams": {"alpha": {"cleanup": {"maxAge": 60}, "dags": {"repo": "https://git.example/alpha.git"}}},
    "dags": {"gitSync": {"enabled": True, "repo": "https://git.example/dags.git"}},
    "databaseCleanup": {"enabled": True},
    "statsd": {"enabled": True},
    "logs": {"persistence": {"existingClaim": "logs"}},
}
"""Every pod that does not depend on the executor, and every sidecar."""

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


def all_pods(values: Object) -> dict[str, Object]:
    """The pods of the release, and that of one task where the scheduler makes such."""
    objects = render(values)
    found = pods_by_component(objects)
    if values.get("executor") == "KubernetesExecutor":
        config: dict[str, Any] = find_object(objects, "ConfigMap", "airflow-config")["data"]
        found["task"] = yaml.safe_load(config["task-pod.yaml"])
    return found


def holders(values: Object) -> dict[str, set[str]]:
    """The containers with a token, by component; the others of the same pod have none."""
    found: dict[str, set[str]] = {}
    for component, pod in all_pods(values).items():
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
            found[component] = set(mounts)
    return found


@pytest.mark.parametrize(
    ("executor", "more"),
    [
        ("LocalExecutor", {"scheduler": {"scheduler"}}),
        ("CeleryExecutor", {"worker": {"worker"}}),
        ("KubernetesExecutor", {"scheduler": {"scheduler"}, "task": {"base"}}),
    ],
)
def test_one_container_of_those_pods_that_speak_to_kubernetes_holds_one(
    executor: str, more: dict[str, set[str]]
) -> None:
    assert holders({**EVERYTHING, "executor": executor}) == {**JOBS, "triggerer": {"triggerer"}, **more}


def test_beside_an_airflow_that_is_there_already_the_jobs_alone_hold_one() -> None:
    beside = {"enabled": False, "serviceAccounts": [{"name": "theirs", "namespace": "airflow"}]}
    teams = {"alpha": {"cleanup": {"maxAge": 60}}}
    assert holders({"airflow": beside, "teams": teams}) == {name: JOBS[name] for name in ("cleanup", "test")}


def test_no_account_gives_its_token_away_by_itself() -> None:
    accounts = [item for item in render(EVERYTHING) if item["kind"] == "ServiceAccount"]
    assert {account["automountServiceAccountToken"] for account in accounts} == {False}
