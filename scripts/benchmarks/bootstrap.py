"""Duration of bootstrap with twelve teams, compared with a plain client that applies the same objects."""

from __future__ import annotations

import json
from typing import Any

from kubernetes import client, config

from benchmarks.timer import measure_seconds
from common.command import capture_output
from common.paths import REPOSITORY
from common.steps import Steps
from local_cluster import cluster
from stack.release import Stack
from stack.sample_run import connect_airflow
from stack.temporary_teams import LOGIN, TemporaryTeams, publish_teams

_NAMESPACE = "benchboot"
_TEAMS, _VOLUMES = 12, 5
_TRIES = 3
_KINDS = "secrets,pvc"


def measure(steps: Steps) -> dict[str, Any]:
    """Run bootstrap for 12 teams twice, and a plain apply of the same objects.

    Args:
        steps: receives the progress.
    """
    stack = Stack(cluster.kubeconfig_path(), cluster.programs_folder())
    airflow = connect_airflow(stack)
    with publish_teams(stack, airflow, _NAMESPACE, _TEAMS, _VOLUMES) as teams:
        with steps.step("bootstrap of 12 teams"):
            first = measure_seconds(lambda: _run_bootstrap(stack))
        objects = _read_objects(teams)
        api = config.new_client_from_config(str(stack.kubeconfig))
        second_runs, plain_applies = [], []
        for number in range(1, _TRIES + 1):
            with steps.step(f"bootstrap again, and plain apply ({number} of {_TRIES})"):
                second_runs.append(measure_seconds(lambda: _run_bootstrap(stack)))
                plain_applies.append(measure_seconds(lambda: _apply_objects(api, objects)))
    return {
        "title": "platformctl bootstrap",
        "text": f"{_TEAMS} teams with {_TEAMS * _VOLUMES} volume claims, {_TEAMS} registry secrets and one connection. "
        "Second run: the whole command, which reads everything, changes nothing and verifies it; best of "
        f"{_TRIES}, each followed by a plain client that applies the same {len(objects)} objects server-side, one "
        "after the other, without its start and imports.",
        "columns": ["measurement", "value"],
        "rows": [
            ["first run", f"{first:.2f} s"],
            ["second run (goal: 5 s)", f"{min(second_runs):.2f} s"],
            ["plain apply of the same objects", f"{min(plain_applies):.2f} s"],
            ["ratio of second run to plain apply", f"{min(second_runs) / min(plain_applies):.1f}"],
        ],
    }


def _run_bootstrap(stack: Stack) -> None:
    program = REPOSITORY / ".venv" / "bin" / "platformctl"
    options = ["--namespace", _NAMESPACE, "--registry-config", "-", "--yes", "-o", "json"]
    capture_output([program, "bootstrap", *options], env=stack.environment, stdin=LOGIN, timeout_s=300)


def _read_objects(teams: TemporaryTeams) -> list[dict[str, Any]]:
    """Return the objects that bootstrap created, in the form in which it applies them."""
    objects = []
    for namespace in teams.namespaces:
        words = ("get", _KINDS, "-n", namespace, "-o", "json")
        objects += json.loads(teams.stack.kubectl(*words))["items"]
    return [_applied_fields(item) for item in objects]


def _applied_fields(item: dict[str, Any]) -> dict[str, Any]:
    meta = {key: item["metadata"][key] for key in ("name", "namespace", "labels")}
    fields: dict[str, Any] = {key: item[key] for key in ("apiVersion", "kind", "type", "data") if key in item}
    if "spec" in item:
        fields["spec"] = {key: item["spec"][key] for key in ("accessModes", "resources")}
    return {**fields, "metadata": meta}


def _apply_objects(api: client.ApiClient, objects: list[dict[str, Any]]) -> None:
    plurals = {"Secret": "secrets", "PersistentVolumeClaim": "persistentvolumeclaims"}
    for item in objects:
        meta = item["metadata"]
        api.call_api(
            f"/api/v1/namespaces/{meta['namespace']}/{plurals[item['kind']]}/{meta['name']}",
            "PATCH",
            query_params=[("fieldManager", "plain"), ("force", "true")],
            header_params={"Content-Type": "application/apply-patch+yaml", "Accept": "application/json"},
            body=item,
            auth_settings=["BearerToken"],
            response_types_map={200: "object", 201: "object"},
        )
