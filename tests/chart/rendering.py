"""Render the chart with Helm and validate every object against the schema of its kind."""

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
"""Schemas of kinds that are not part of Kubernetes, one file each."""

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


def find_helm() -> str:
    """Return the path of helm: ``$HELM``, or the local cluster's build, or the one in PATH."""
    built = toolchain.programs_folder() / "helm"
    program = os.environ.get("HELM") or (str(built) if built.exists() else shutil.which("helm"))
    assert program, "helm not found: set HELM, or build the local cluster's programs with scripts/cluster up"
    return program


def run_helm(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run helm and capture its output."""
    command = [find_helm(), *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60, check=False)


def run_check(script: str) -> tuple[int, str]:
    """Run a script with ``--check`` and return its exit code and standard error."""
    completed = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / script), "--check"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return completed.returncode, completed.stderr


@cache
def _render_text(values: str, chart: str) -> str:
    completed = run_helm("template", RELEASE, chart, "--namespace", NAMESPACE, "--values", "-", stdin=values)
    assert completed.returncode == 0, completed.stderr
    return completed.stdout


@cache
def _render_json(values: str, chart: str) -> tuple[str, ...]:
    """Return each object as JSON text, so that no test can change the objects of another."""
    documents = yaml.load_all(_render_text(values, chart), yaml.CSafeLoader)  # ten times as fast as SafeLoader
    objects = tuple(json.dumps(document) for document in documents if document)
    for text in objects:
        _validate_json(text)
    return objects


def validate(item: Object) -> None:
    """Validate an object against Kubernetes' schema, or the one under schemas/; unknown fields are errors."""
    _validate_json(json.dumps(item))


@cache
def _validate_json(text: str) -> None:
    """Validate an object once; most objects are the same in most renderings."""
    item = json.loads(text)
    _load_validator(item["apiVersion"], item["kind"]).validate(item)


@cache
def _load_validator(api_version: str, kind: str) -> jsonschema.Validator:
    schema_file = SCHEMAS / f"{kind}.json"
    if schema_file.exists():
        return jsonschema.Draft202012Validator(json.loads(schema_file.read_text()))
    group, _, version = api_version.rpartition("/")
    name = "-".join(filter(None, (kind.lower(), group.partition(".")[0], version)))
    schema = _load_kubernetes_schema(f"{name}.json")
    definitions = Resource.from_contents(_load_kubernetes_schema("_definitions.json"))
    return jsonschema.Draft202012Validator(schema, registry=definitions @ Registry())


@cache
def _load_kubernetes_schema(name: str) -> Object:
    """Load a schema file of kubernetes-validate, whose own function reads 2 MB for every object."""
    folder = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema" / f"v{KUBERNETES}.0-local-strict"
    schema: Object = json.loads((folder / name).read_text())
    return schema


def render(values: Object | None = None, chart: Path = CHART) -> list[Object]:
    """Render the chart and return its validated objects."""
    return [json.loads(text) for text in _render_json(json.dumps(values or {}), str(chart))]


def render_text(values: Object) -> str:
    """Render the chart and return Helm's output."""
    return _render_text(json.dumps(values), str(CHART))


def render_errors(values: Object) -> list[str]:
    """Render the chart with refused values and return the error messages."""
    arguments = ("template", RELEASE, str(CHART), "--namespace", NAMESPACE, "--values", "-")
    completed = run_helm(*arguments, stdin=json.dumps(values))
    assert completed.returncode != 0, "the chart accepts the values"
    return [line for line in completed.stderr.splitlines() if line.startswith(("ERROR: ", "- at "))]


def find_object(objects: list[Object], kind: str, name: str, namespace: str = NAMESPACE) -> Object:
    """Return the only object of a kind and name."""
    matches = [
        item
        for item in objects
        if (item["kind"], item["metadata"]["name"]) == (kind, name)
        and item["metadata"].get("namespace", namespace) == namespace
    ]
    assert len(matches) == 1, f"{len(matches)} objects {kind} {namespace}/{name}"
    return matches[0]


def map_package(volume: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Map the paths of the mounted Python package to names and keys of its ConfigMaps."""
    sources = [source["configMap"] for source in volume["projected"]["sources"]]
    return {item["path"]: (source["name"], item["key"]) for source in sources for item in source["items"]}


def find_by_prefix(objects: list[Object], kind: str, prefix: str) -> Object:
    """Return the only object of a kind whose name starts with a prefix and ends with a hash."""
    matches = [item for item in objects if item["kind"] == kind and item["metadata"]["name"].startswith(prefix)]
    assert len(matches) == 1, f"{len(matches)} objects {kind} {prefix}…"
    return matches[0]


def map_pods_by_component(objects: list[Object]) -> dict[str, Object]:
    """Return pods and pod templates of workloads by their component label."""
    specs = [item["spec"] for item in objects if item["kind"] in ("Deployment", "Job", "StatefulSet")]
    specs += [item["spec"]["jobTemplate"]["spec"] for item in objects if item["kind"] == "CronJob"]
    templates = [spec["template"] for spec in specs] + [item for item in objects if item["kind"] == "Pod"]
    return {template["metadata"]["labels"]["app.kubernetes.io/component"]: template for template in templates}


def list_containers(pod: Object) -> Iterator[Object]:
    """Yield the containers of a pod, init containers first."""
    yield from pod["spec"].get("initContainers", [])
    yield from pod["spec"]["containers"]


def load_role(name: str) -> Object:
    """Parse rbac/<name>.yaml."""
    role: Object = yaml.safe_load((ROOT / "rbac" / f"{name}.yaml").read_text())
    return role
