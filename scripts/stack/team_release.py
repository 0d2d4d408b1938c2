"""A release with teams but without Airflow, in namespaces of its own: the release of the local cluster is unchanged."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from common.command import capture_output
from stack.release import CHART, VALUES, Stack


@contextmanager
def install_team_release(stack: Stack, name: str, values: dict[str, Any]) -> Iterator[None]:
    """Install a release of its own; delete it with all its namespaces at the end.

    Args:
        stack: the cluster.
        name: the release's name, which is also its namespace.
        values: the release's values, with `teams`; the images are those of the local cluster.
    """
    delete_team_release(stack, name, values["teams"])
    try:
        stack.kubectl("apply", "-f", "-", stdin=json.dumps(_build_namespace(name)))
        with TemporaryDirectory() as folder:
            file = Path(folder) / "values.json"
            file.write_text(json.dumps(_build_values(name) | values))
            words: list[str | Path] = ["install", name, CHART, "--namespace", name, "--values", file, "--wait"]
            stack.helm(words, lambda _: None, timeout_s=300)
        yield
    finally:
        delete_team_release(stack, name, values["teams"])


def delete_team_release(stack: Stack, name: str, teams: dict[str, Any]) -> None:
    """Delete the release, and the namespaces that it keeps."""
    command: list[str | Path] = [stack.programs / "helm", "list", "-n", name, "-o", "json"]
    if json.loads(capture_output(command, env=stack.environment)):
        stack.helm(["uninstall", name, "--namespace", name, "--wait"], lambda _: None, timeout_s=120)
    namespaces = [name, *(f"team-{team}" for team in teams)]
    stack.kubectl("delete", "namespace", *namespaces, "--ignore-not-found", timeout_s=120)


def _build_namespace(name: str) -> dict[str, Any]:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def _build_values(name: str) -> dict[str, Any]:
    local = yaml.safe_load(VALUES.read_text(encoding="utf-8"))
    return {
        "images": local["images"],
        "teamDefaults": {"images": local["teamDefaults"]["images"], "connection": {"via": "env"}},
        "airflow": {"enabled": False, "serviceAccounts": [{"namespace": name, "name": "worker"}]},
    }
