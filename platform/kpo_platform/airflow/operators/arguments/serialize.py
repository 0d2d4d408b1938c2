"""Arguments as plain data: models of the Kubernetes client, dictionaries, and what Airflow has still to resolve."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from kubernetes.client import ApiClient

from kpo_platform.airflow.operators.arguments.unknown_fields import find_unknown_fields
from kpo_platform.errors import PodError
from kpo_platform.finding import raise_refusals
from kpo_platform.pod.containers import is_template
from kpo_platform.pod.merge import Json

UNRESOLVED = "{{ a result of another task }}"
"""Stands for a value that is not known when the DAG is read; as a template it is passed over by every check."""

_client = ApiClient()


def serialize(value: Any) -> Any:
    """The value as the API's JSON; another task's result, before it is resolved, becomes `UNRESOLVED`."""
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, dict):
        return {key: serialize(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [serialize(item) for item in value]
    if hasattr(value, "openapi_types"):
        fields = ((field, getattr(value, attribute)) for attribute, field in value.attribute_map.items())
        return {field: serialize(inner) for field, inner in fields if inner is not None}
    if hasattr(value, "resolve"):
        return UNRESOLVED
    return _client.sanitize_for_serialization(value)


def is_unresolved(value: Any) -> bool:
    """Whether the value is a text that Jinja has still to render, or another task's result."""
    return is_template(serialize(value))


def serialize_pod(pod: Any) -> Json:
    """A pod, or part of one, as the API's JSON: a client model, a dictionary, or nothing.

    A whole pod that Jinja, or another task's result, has still to give becomes one whose spec is still to come.

    Raises:
        PodError: it was rendered to a text.
    """
    data = serialize(pod) or {}
    if not isinstance(data, str):
        return dict(data)
    if is_template(data):
        return {"spec": data}
    raise PodError(
        "A pod was rendered to a text, but a dictionary was expected",
        "give the dictionary itself, or set render_template_as_native_obj=True in the DAG.",
    )


def stringify_values(values: Any) -> Any:
    """A dictionary with numbers and switches as the texts that Kubernetes wants; anything else as it is."""
    if not isinstance(values, dict):
        return values
    return {key: _text(value) for key, value in values.items()}


def _text(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, (int, float)) else value


def read_pod_file(path: str) -> Json:
    """The pod that a YAML file holds.

    Raises:
        PodError: there is no such file, or no pod in it, or one with fields that Kubernetes does not have.
    """
    try:
        return _read(path, Path(path).stat().st_mtime_ns)
    except OSError as error:
        raise PodError(
            f"pod_template_file={path!r} cannot be read ({error.strerror})",
            "the platform's templates are used by their name, as in template='default'.",
        ) from None


@lru_cache(maxsize=64)
def _read(path: str, changed: int) -> Json:
    """Read a file once per change: a DAG of a hundred tasks names the same file a hundred times."""
    try:
        pod = yaml.load(Path(path).read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise PodError(f"pod_template_file={path!r} holds no YAML: {str(error).splitlines()[0]}.") from None
    if not isinstance(pod, dict):
        raise PodError(f"pod_template_file={path!r} holds no pod: a v1 Pod as YAML was expected.")
    raise_refusals(find_unknown_fields(pod, "V1Pod", path))
    return pod
