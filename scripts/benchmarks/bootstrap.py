"""How long bootstrap takes over twelve teams, beside a plain client that applies the same objects."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from kubernetes import client, config

from common.command import capture_output
from common.paths import REPOSITORY
from common.steps import Steps
from local_cluster import cluster
from stack.release import Stack
from stack.sample_run import connect
from stack.temporary_teams import LOGIN, TemporaryTeams, publish_teams

_HOME = "benchboot"
_TEAMS, _VOLUMES = 12, 5
_TRIES = 3
_KINDS = "secrets,pvc"


def measure(steps: Steps) -> dict[str, Any]:
    """Run bootstrap over 12 teams with 60 claims and 12 secrets: first, and again; and a plain apply of the same.

    Args:
        steps: told about progress.
    """
    stack = Stack(cluster.kubeconfig(), cluster.programs())
    airflow = connect(stack)
    with publish_teams(stack, airflow, _HOME, _TEAMS, _VOLUMES) as teams:
        with steps.step("bootstrap of 12 teams"):
            first = _seconds(lambda: _bootstrap(stack))
        objects = _objects(teams)
        api = config.new_client_from_config(str(stack.kubeconfig))
        again, plain = [], []
        for number in range(1, _TRIES + 1):
            with steps.step(f"again, and plainly ({number} of {_TRIES})"):
                again.append(_seconds(lambda: _bootstrap(stack)))
                plain.append(_seconds(lambda: _plain(api, objects)))
    return {
        "title": "platformctl bootstrap",
        "text": f"{_TEAMS} teams with {_TEAMS * _VOLUMES} volume claims, {_TEAMS} registry secrets and one connection. "
        "Again: the whole command, which reads everything, finds nothing to do and reads it back; the best of "
        f"{_TRIES}, each in turn with a plain client that server-side applies the same {len(objects)} objects one "
        "after the other, its start and imports not counted.",
        "columns": ["what", "figure"],
        "rows": [
            ["first run", f"{first:.2f} s"],
            ["again (the goal is 5 s)", f"{min(again):.2f} s"],
            ["plain apply of the same objects", f"{min(plain):.2f} s"],
            ["again, as a multiple of the plain apply", f"{min(again) / min(plain):.1f}"],
        ],
    }


def _bootstrap(stack: Stack) -> None:
    program = REPOSITORY / ".venv" / "bin" / "platformctl"
    more = ["--namespace", _HOME, "--registry-config", "-", "--yes", "-o", "json"]
    capture_output([program, "bootstrap", *more], env=stack.variables, stdin=LOGIN, timeout_s=300)


def _objects(teams: TemporaryTeams) -> list[dict[str, Any]]:
    """The objects that bootstrap made, as it would apply them."""
    found = []
    for namespace in teams.namespaces:
        words = ("get", _KINDS, "-n", namespace, "-o", "json")
        found += json.loads(teams.stack.kubectl(*words))["items"]
    return [_applied(each) for each in found]


def _applied(found: dict[str, Any]) -> dict[str, Any]:
    meta = {key: found["metadata"][key] for key in ("name", "namespace", "labels")}
    kept: dict[str, Any] = {key: found[key] for key in ("apiVersion", "kind", "type", "data") if key in found}
    if "spec" in found:
        kept["spec"] = {key: found["spec"][key] for key in ("accessModes", "resources")}
    return {**kept, "metadata": meta}


def _plain(api: client.ApiClient, objects: list[dict[str, Any]]) -> None:
    plurals = {"Secret": "secrets", "PersistentVolumeClaim": "persistentvolumeclaims"}
    for each in objects:
        meta = each["metadata"]
        api.call_api(
            f"/api/v1/namespaces/{meta['namespace']}/{plurals[each['kind']]}/{meta['name']}",
            "PATCH",
            query_params=[("fieldManager", "plain"), ("force", "true")],
            header_params={"Content-Type": "application/apply-patch+yaml", "Accept": "application/json"},
            body=each,
            auth_settings=["BearerToken"],
            response_types_map={200: "object", 201: "object"},
        )


def _seconds(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began
