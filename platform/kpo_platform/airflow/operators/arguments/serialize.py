"""Convert operator arguments to the JSON of the Kubernetes API."""

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
"""Placeholder for a value that is unknown when the DAG is parsed. It is a template, so every check skips it."""

_client = ApiClient()


def serialize(value: Any) -> Any:
    """Convert a value to the API's JSON; an unresolved result of another task becomes `UNRESOLVED`."""
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, dict):
        return {key: serialize(field) for key, field in value.items()}
    if isinstance(value, (list, tuple)):
        return [serialize(item) for item in value]
    if hasattr(value, "openapi_types"):
        fields = ((field, getattr(value, attribute)) for attribute, field in value.attribute_map.items())
        return {field: serialize(inner) for field, inner in fields if inner is not None}
    if hasattr(value, "resolve"):
        return UNRESOLVED
    return _client.sanitize_for_serialization(value)


def is_unresolved(value: Any) -> bool:
    """Tell whether the value is a Jinja template or an unresolved result of another task."""
    return is_template(serialize(value))


def serialize_pod(pod: Any) -> Json:
    """Convert a pod or a part of one to the API's JSON, from a client model, a dictionary or None.

    An unresolved pod becomes one with an unresolved spec.

    Raises:
        PodError: the pod was rendered to a string.
    """
    data = serialize(pod) or {}
    if not isinstance(data, str):
        return dict(data)
    if is_template(data):
        return {"spec": data}
    raise PodError(
        "The pod was rendered to a string, but a dictionary is required",
        "Pass the dictionary itself, or set render_template_as_native_obj=True in the DAG.",
    )


def stringify_values(values: Any) -> Any:
    """Convert the numbers and booleans in a dictionary to strings; return any other value unchanged."""
    if not isinstance(values, dict):
        return values
    return {key: _stringify(value) for key, value in values.items()}


def _stringify(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, (int, float)) else value


def read_pod_file(path: str) -> Json:
    """Read a pod from a YAML file.

    Raises:
        PodError: the file cannot be read, contains no pod, or the pod has unknown fields.
    """
    try:
        return _parse_pod_file(path, Path(path).stat().st_mtime_ns)
    except OSError as error:
        raise PodError(
            f"pod_template_file={path!r} cannot be read: {error.strerror}",
            "Check the path, or select one of the platform's templates: template='default'.",
        ) from None


@lru_cache(maxsize=64)
def _parse_pod_file(path: str, modified_ns: int) -> Json:
    """Parse a file once per modification: a DAG of a hundred tasks may name it a hundred times."""
    try:
        pod = yaml.load(Path(path).read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise PodError(
            f"pod_template_file={path!r} is not valid YAML: {str(error).splitlines()[0]}. Correct the file."
        ) from None
    if not isinstance(pod, dict):
        raise PodError(f"pod_template_file={path!r} contains no pod. Write a v1 Pod in YAML.")
    raise_refusals(find_unknown_fields(pod, "V1Pod", path))
    return pod
