"""Render the chart as Helm does, and check every object against Kubernetes' own schemas."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import yaml
from referencing import Registry, Resource

from local_cluster import toolchain

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "helm" / "kpo-platform"
KUBERNETES = "1.37"
SCHEMAS = Path(__file__).parent / "schemas"
"""Those of kinds that others bring to a cluster, one file each."""

RELEASE = "airflow"
NAMESPACE = "airflow"

Object = dict[str, Any]

TWO_TEAMS: Object = {
    "teams": {
        "alpha": {"dags": {"repo": "https://git.example/alpha.git", "subdir": "dags"}},
        "beta": {
            "namespace": "data-beta",
            "labels": {"cost-centre": "42"},
            "registry": {"host": "registry.example"},
            "volumes": [{"name": "data", "size": "1Gi", "mountPath": "/data"}],
            "policy": {"deferrable": False},
        },
    }
}


def helm() -> str:
    """The helm program: HELM, or the one that the local cluster's toolchain pins, or the one on the path."""
    pinned = toolchain.programs() / "helm"
    found = os.environ.get("HELM") or (str(pinned) if pinned.exists() else shutil.which("helm"))
    assert found, "there is no helm: set HELM, or build the toolchain with scripts/cluster up"
    return found


def run(*arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run helm with these arguments and this standard input."""
    return subprocess.run([helm(), *arguments], input=given, capture_output=True, text=True, timeout=60, check=False)


def checked_by(script: str) -> tuple[int, str]:
    """The exit code and the complaints of a script that compares a file in docs/ with where it is made from."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / script), "--check"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stderr


@cache
def _rendered(values: str, chart: str) -> str:
    done = run("template", RELEASE, chart, "--namespace", NAMESPACE, "--values", "-", given=values)
    assert done.returncode == 0, done.stderr
    return done.stdout


@cache
def _objects(values: str, chart: str) -> tuple[str, ...]:
    """The objects as JSON: text, so that no test changes what another one reads."""
    found = yaml.load_all(_rendered(values, chart), yaml.CSafeLoader)  # ten times as fast as the loader in Python
    objects = tuple(json.dumps(document) for document in found if document)
    for text in objects:
        _check(text)
    return objects


def check(content: Object) -> None:
    """Hold an object against its schema: Kubernetes' own, or that of whoever brings the kind to a cluster."""
    _check(json.dumps(content))


@cache
def _check(text: str) -> None:
    """Check an object once: most objects are the same in most renderings."""
    content = json.loads(text)
    _validator(content["apiVersion"], content["kind"]).validate(content)


@cache
def _validator(api_version: str, kind: str) -> jsonschema.Validator:
    """The schema of a kind, which takes no unknown field."""
    brought = SCHEMAS / f"{kind}.json"
    if brought.exists():
        return jsonschema.Draft202012Validator(json.loads(brought.read_text()))
    group, _, version = api_version.rpartition("/")
    name = "-".join(filter(None, (kind.lower(), group.partition(".")[0], version)))
    schema = _kubernetes_schema(f"{name}.json")
    definitions = Resource.from_contents(_kubernetes_schema("_definitions.json"))
    return jsonschema.Draft202012Validator(schema, registry=definitions @ Registry())


@cache
def _kubernetes_schema(name: str) -> Object:
    """One of the files that kubernetes-validate carries; its own function reads 2 MB of them for every object."""
    folder = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema" / f"v{KUBERNETES}.0-local-strict"
    schema: Object = json.loads((folder / name).read_text())
    return schema


def render(values: Object | None = None, chart: Path = CHART) -> list[Object]:
    """The objects that these values give, each one valid for Kubernetes without a field too many."""
    return [json.loads(text) for text in _objects(json.dumps(values or {}), str(chart))]


def text(values: Object) -> str:
    """What Helm prints for these values, unread."""
    return _rendered(json.dumps(values), str(CHART))


def refusal(values: Object) -> list[str]:
    """The sentences with which the chart refuses these values."""
    done = run("template", RELEASE, str(CHART), "--namespace", NAMESPACE, "--values", "-", given=json.dumps(values))
    assert done.returncode != 0, "the chart took the values"
    return [line for line in done.stderr.splitlines() if line.startswith(("ERROR: ", "- at "))]


def one(objects: list[Object], kind: str, name: str, namespace: str = NAMESPACE) -> Object:
    """The one object of this kind and name."""
    found = [
        item
        for item in objects
        if (item["kind"], item["metadata"]["name"]) == (kind, name)
        and item["metadata"].get("namespace", namespace) == namespace
    ]
    assert len(found) == 1, f"{len(found)} objects {kind} {namespace}/{name}"
    return found[0]


def starting_with(objects: list[Object], kind: str, prefix: str) -> Object:
    """The one object of this kind whose name starts so; what follows is a hash."""
    found = [item for item in objects if item["kind"] == kind and item["metadata"]["name"].startswith(prefix)]
    assert len(found) == 1, f"{len(found)} objects {kind} {prefix}…"
    return found[0]


def pods(objects: list[Object]) -> dict[str, Object]:
    """The pods, and the pod templates of all workloads: component → template."""
    specs = [item["spec"] for item in objects if item["kind"] in ("Deployment", "Job", "StatefulSet")]
    specs += [item["spec"]["jobTemplate"]["spec"] for item in objects if item["kind"] == "CronJob"]
    templates = [spec["template"] for spec in specs] + [item for item in objects if item["kind"] == "Pod"]
    return {template["metadata"]["labels"]["app.kubernetes.io/component"]: template for template in templates}


def containers(pod: Object) -> Iterator[Object]:
    """All containers of a pod template, init containers first."""
    yield from pod["spec"].get("initContainers", [])
    yield from pod["spec"]["containers"]


def role_file(name: str) -> Object:
    """rbac/<name>.yaml, parsed."""
    role: Object = yaml.safe_load((ROOT / "rbac" / f"{name}.yaml").read_text())
    return role
