"""Read the pods of a file: manifests of pods, and of objects that create pods."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import yaml

from kpo_platform.kube import Object
from kpo_platform.pod.json_fields import read_object, read_objects, read_text

_TEMPLATES = {
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
    **dict.fromkeys(("DaemonSet", "Deployment", "Job", "ReplicaSet"), ("spec", "template")),
}
"""The kinds of objects that create pods, and where they have the pod; a StatefulSet also creates the claims of it."""

_LARGEST = 4 << 20
_MOST_VALUES = 5_000_000
_OF_SERVER = ("creationTimestamp", "deletionTimestamp", "generation", "managedFields", "resourceVersion", "uid")
_WITHOUT_NAMESPACE = frozenset({"Namespace", "Node", "PersistentVolume", "PriorityClass", "RuntimeClass"})


@dataclass(frozen=True)
class PodFile:
    """The content of a file.

    Attributes:
        pods: its pods, each with a namespace and a name, or a prefix of one.
        others: its other objects.
    """

    pods: tuple[Object, ...]
    others: tuple[Object, ...] = ()


def read_pod_file(file: str, namespace: str = "") -> PodFile:
    """Read a file of YAML or JSON, or standard input for ``-``.

    Args:
        file: its path.
        namespace: the namespace of objects that name none; empty if it is not known.

    Raises:
        UsageError: the file cannot be read, is not YAML, or has no pod. Messages do not repeat what it contains.
    """
    name = "Standard input" if file == "-" else file
    objects = [each for body in _parse(_read(file, name), name) for each in _flatten(body, name)]
    found = [(each["kind"] == "Pod", _complete(each, name, namespace)) for each in objects]
    pods = tuple(body for is_pod, body in found if is_pod)
    if not pods:
        kinds = ", ".join(dict.fromkeys(each["kind"] for each in objects)) or "no object"
        raise click.UsageError(f"{name} has no pod, but {kinds}. Pass the manifest of a pod, as render prints it.")
    return PodFile(pods, tuple(body for is_pod, body in found if not is_pod))


def _read(file: str, name: str) -> str:
    try:
        text = sys.stdin.read(_LARGEST + 1) if file == "-" else _read_path(Path(file))
    except UnicodeDecodeError:
        raise click.UsageError(f"{name} is not text in UTF-8. Pass a manifest in YAML or JSON.") from None
    except OSError as error:
        raise click.UsageError(f"Cannot read {name}: {error.strerror}. Pass a file, or - for standard input.") from None
    if len(text) > _LARGEST:
        raise click.UsageError(f"{name} is larger than {_LARGEST >> 20} MiB. Pass a file with fewer pods.")
    return text


def _read_path(path: Path) -> str:
    with path.open(encoding="utf-8") as stream:
        return stream.read(_LARGEST + 1)


def _parse(text: str, name: str) -> list[Any]:
    try:
        bodies = _load(text)
        if any(_count_values(each, {}) > _MOST_VALUES for each in bodies):
            raise ValueError
        # JSON has no dates and no aliases.
        return [json.loads(json.dumps(each, default=str)) for each in bodies if each is not None]
    except yaml.MarkedYAMLError as error:  # its text shows a part of the file, which may be secret
        mark = error.problem_mark
        place = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise click.UsageError(f"{name} is not YAML{place}. Correct it there.") from None
    except (yaml.YAMLError, ValueError, TypeError, RecursionError):
        raise click.UsageError(f"{name} is not YAML that can be written as JSON. Pass the manifest of a pod.") from None


def _load(text: str) -> list[Any]:
    """Load the documents of a text; JSON is read in a hundredth of the time."""
    try:
        return [json.loads(text)]
    except ValueError:
        return list(yaml.safe_load_all(text))  # the loader in C ends the process if lists are nested too deeply


def _count_values(value: Any, known: dict[int, int]) -> int:
    """Count the values of a document, those of an alias each time; one that contains itself has too many."""
    if not isinstance(value, dict | list):
        return 1
    if id(value) not in known:
        known[id(value)] = _MOST_VALUES + 1
        children = value.values() if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_count_values(each, known) for each in children)
    return known[id(value)]


def _flatten(body: Any, name: str) -> Iterator[Object]:
    """List the objects of a document: those of a list, and the pod of an object that creates pods."""
    kind = read_text(read_object(body).get("kind"))
    if not kind:
        raise click.UsageError(f"{name} has a document that is no Kubernetes object. Give it apiVersion and kind.")
    if kind == "List" or (kind.endswith("List") and "items" in body):
        implied = {} if kind == "List" else {"kind": kind.removesuffix("List")}
        for item in read_objects(body.get("items")):
            yield from _flatten({**implied, **item}, name)
    elif kind in _TEMPLATES:
        yield _take_template(body, _TEMPLATES[kind])
    else:
        yield body


def _take_template(body: Object, path: tuple[str, ...]) -> Object:
    """Return the pod that an object creates."""
    owner, template = read_object(body.get("metadata")), body
    for key in path:
        template = read_object(template.get(key))
    names = {"namespace": owner.get("namespace"), "generateName": f"{read_text(owner.get('name'))}-"}
    metadata = {**read_object(template.get("metadata")), **{key: text for key, text in names.items() if text}}
    metadata.pop("name", None)
    return {"kind": "Pod", "metadata": metadata, "spec": template.get("spec")}


def _complete(body: Object, file: str, namespace: str) -> Object:
    """Return an object with a namespace and a name, and without what only the API server sets."""
    kind, given = body["kind"], read_object(body.get("metadata"))
    metadata = {key: value for key, value in given.items() if key not in _OF_SERVER}
    name = read_text(metadata.get("name")) or read_text(metadata.get("generateName"))
    if not name:
        raise click.UsageError(f"{file} has a {kind} without a name. Set metadata.name.")
    if kind in _WITHOUT_NAMESPACE:
        return {**body, "metadata": metadata}
    own = read_text(metadata.get("namespace"))
    if own and namespace and own != namespace:
        raise click.UsageError(f"{kind} {name} in {file} has the namespace {own}. Leave out -n {namespace}.")
    if kind == "Pod" and not isinstance(body.get("spec"), dict):
        raise click.UsageError(f"Pod {name} in {file} has no spec. Pass the whole manifest.")
    if kind == "Pod" and not (own or namespace):
        raise click.UsageError(f"Pod {name} in {file} has no namespace. Pass -n NAMESPACE.")
    metadata["namespace"] = own or namespace
    if kind != "Pod":
        return {**body, "metadata": {**metadata, "name": name}}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, "spec": body["spec"]}
