"""A second release with 500 teams, to test and measure its installation."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from common.command import Progress, capture_output
from stack.release import CHART, VALUES, Stack

RELEASE = NAMESPACE = "many"
TEAMS = 500


def team_names(count: int = TEAMS) -> list[str]:
    """Return the names of the teams."""
    return [f"department-{number:03}" for number in range(count)]


def release_values(count: int = TEAMS) -> dict[str, Any]:
    """Return the values of a release with this number of teams, each with realistic settings."""
    local = yaml.safe_load(VALUES.read_text(encoding="utf-8"))
    return {
        "images": local["images"],
        "airflow": {"enabled": False, "serviceAccounts": [{"namespace": NAMESPACE, "name": "worker"}]},
        "teamDefaults": {"images": local["teamDefaults"]["images"], "connection": {"via": "env"}},
        "teams": {name: _team(name) for name in team_names(count)},
    }


def _team(name: str) -> dict[str, Any]:
    return {
        "owners": [{"group": f"{name}-engineers"}],
        "labels": {"cost-centre": name},
        "quota": {"pods": 20, "limits.memory": "64Gi"},
        "dags": {"repo": f"https://git.example.com/{name}/dags.git"},
        "registry": {"host": "registry.example.com"},
        "volumes": [{"name": "data", "size": "10Gi", "mountPath": "/data"}],
        "network": {"egress": [{"ports": [{"port": 443}]}]},
    }


def render_release(stack: Stack, file: Path) -> str:
    """Return the output of `helm template` for a values file."""
    words: list[str | Path] = [stack.programs / "helm", "template", RELEASE, CHART, "-n", NAMESPACE, "--values", file]
    return capture_output(words, timeout_s=120)


def write_values(folder: Path, content: dict[str, Any]) -> Path:
    """Write values to a file for Helm."""
    file = folder / "values.json"
    file.write_text(json.dumps(content), encoding="utf-8")
    return file


def install_release(stack: Stack, file: Path, progress: Progress) -> None:
    """Install the release, or upgrade it to these values."""
    words: list[str | Path] = ["upgrade", "--install", RELEASE, CHART, "--namespace", NAMESPACE, "--create-namespace"]
    stack.helm([*words, "--values", file, "--timeout", "10m"], progress, timeout_s=600)


def get_release_secret_size(stack: Stack) -> int:
    """Return the size of the Secret with Helm's newest revision; the limit is 1 MiB."""
    revisions = stack.get("secrets", "-n", NAMESPACE, "-l", f"owner=helm,name={RELEASE}")["items"]
    newest = max(revisions, key=lambda secret: int(secret["metadata"]["labels"]["version"]))
    return len(newest["data"]["release"])


def get_contract_size(stack: Stack) -> int:
    """Return the size of the contract; the limit of a ConfigMap is 1 MiB."""
    return len(stack.get("configmap", f"{RELEASE}-contract", "-n", NAMESPACE)["data"]["contract.json"].encode())


def uninstall_release(stack: Stack, progress: Callable[[str], None]) -> None:
    """Uninstall the release and delete the namespaces that it keeps."""
    releases = capture_output([stack.programs / "helm", "list", "-n", NAMESPACE, "-o", "json"], env=stack.environment)
    if json.loads(releases):
        stack.helm(["uninstall", RELEASE, "--namespace", NAMESPACE, "--timeout", "5m"], progress, timeout_s=330)
    team_selector = f"app.kubernetes.io/instance={RELEASE},app.kubernetes.io/component=team"
    stack.kubectl("delete", "namespaces", "-l", team_selector, "--wait=false", timeout_s=300)
    stack.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false")
    words = ("wait", "--for=delete", "namespaces", "-l", team_selector, "--timeout=600s")
    stack.kubectl(*words, timeout_s=620)
