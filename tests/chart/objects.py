"""Parts of rendered objects that several tests read."""

from __future__ import annotations

import json
from configparser import RawConfigParser
from typing import Any

from chart.rendering import Object, find_by_prefix, find_object, list_containers, map_pods_by_component, render


def read_env(container: Object) -> dict[str, Any]:
    """Return the environment variables of a container: name → value or source."""
    return {item["name"]: item.get("value", item.get("valueFrom")) for item in container.get("env", [])}


def list_secret_names(objects: list[Object]) -> set[str]:
    """Return the names of all Secrets that pods use as variables or volumes."""
    names = set()
    for pod in map_pods_by_component(objects).values():
        for container in list_containers(pod):
            sources = [value for value in read_env(container).values() if isinstance(value, dict)]
            names |= {source["secretKeyRef"]["name"] for source in sources}
        secrets = [volume["secret"] for volume in pod["spec"].get("volumes", []) if "secret" in volume]
        names |= {secret["secretName"] for secret in secrets}
    return names


def read_airflow_cfg(values: Object) -> dict[str, dict[str, str]]:
    """Return the rendered airflow.cfg: section → key → value."""
    parser = RawConfigParser()
    parser.read_string(find_object(render(values), "ConfigMap", "airflow-config")["data"]["airflow.cfg"])
    return {section: dict(parser[section]) for section in parser.sections()}


def read_team_settings(values: Object) -> dict[str, Object]:
    """Return the files that the team-settings Job reads: name → content."""
    data = find_by_prefix(render(values), "ConfigMap", "airflow-team-settings-")["data"]
    return {name: json.loads(text) for name, text in data.items()}


def list_restarted_components(before: Object, after: Object) -> set[str]:
    """Return the components whose pod templates differ, so that Kubernetes replaces their pods."""
    old, new = (
        map_pods_by_component([item for item in render(values) if item["kind"] != "Job"]) for values in (before, after)
    )
    return {component for component in old if old[component] != new[component]}


def assert_restricted(pod: Object) -> None:
    """Assert that a pod passes the Pod Security level restricted (kubernetes.io, Pod Security Standards)."""
    spec = pod["spec"]
    context = spec["securityContext"]
    assert context["runAsNonRoot"] is True
    assert context["runAsUser"] > 0
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
    kinds = {kind for volume in spec.get("volumes", []) for kind in volume if kind != "name"}
    assert kinds <= {"configMap", "emptyDir", "persistentVolumeClaim", "projected", "secret"}
    for container in list_containers(pod):
        own = {**container["securityContext"]}
        assert own.pop("runAsUser", 1) > 0, container["name"]
        own.pop("readOnlyRootFilesystem", None)
        assert own == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}, container["name"]
        assert not any("hostPort" in port for port in container.get("ports", []))


def read_generated_secrets(values: Object) -> Object:
    """Return the Secrets that the secrets Job generates."""
    job = find_by_prefix(render(values), "Job", "airflow-secrets-")
    secrets: Object = json.loads(read_env(job["spec"]["template"]["spec"]["containers"][0])["SECRETS"])
    return secrets
