"""Map the stock operator's arguments to pod fields.

The tables serve three purposes: refuse unknown fields in arguments, build a layer of the pod from the arguments, and
hide the arguments while the stock operator completes the composed pod, so that nothing is merged twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager
from typing import Any

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from kubernetes.client import models

from kpo_platform.airflow.operators.arguments.serialize import serialize, stringify_values
from kpo_platform.airflow.operators.arguments.unknown_fields import find_unknown_fields
from kpo_platform.errors import PodError
from kpo_platform.finding import Refusal
from kpo_platform.pod.compose import BASE
from kpo_platform.pod.merge import Json

_METADATA_FIELDS = {"labels": "labels", "annotations": "annotations"}

_SPEC_FIELDS = {
    "active_deadline_seconds": "activeDeadlineSeconds",
    "affinity": "affinity",
    "dns_config": "dnsConfig",
    "dnspolicy": "dnsPolicy",
    "host_aliases": "hostAliases",
    "hostname": "hostname",
    "hostnetwork": "hostNetwork",
    "image_pull_secrets": "imagePullSecrets",
    "init_containers": "initContainers",
    "node_selector": "nodeSelector",
    "priority_class_name": "priorityClassName",
    "runtime_class_name": "runtimeClassName",
    "schedulername": "schedulerName",
    "security_context": "securityContext",
    "subdomain": "subdomain",
    "termination_grace_period": "terminationGracePeriodSeconds",
    "tolerations": "tolerations",
    "volumes": "volumes",
}

_CONTAINER_FIELDS = {
    "arguments": "args",
    "cmds": "command",
    "container_resources": "resources",
    "container_security_context": "securityContext",
    "env_from": "envFrom",
    "env_vars": "env",
    "image": "image",
    "image_pull_policy": "imagePullPolicy",
    "ports": "ports",
    "termination_message_policy": "terminationMessagePolicy",
    "volume_mounts": "volumeMounts",
}

_POD_ARGUMENTS = ("full_pod_spec", "pod_override", "pod_template_dict")

_SKIPPED_UNLESS_SET = frozenset({"termination_message_policy"})
"""Arguments whose stock default, here `File`, must not override the team's value."""

_MODEL_LISTS = ("ports", "volume_mounts", "volumes")
"""Lists in which the stock operator of provider 10.22 accepts only client models."""


def check_argument_fields(arguments: Mapping[str, Any]) -> Iterator[Refusal]:
    """Refuse unknown fields in arguments, such as ``workDir`` in a container."""
    for name in _POD_ARGUMENTS:
        yield from find_unknown_fields(arguments.get(name), "V1Pod", name)
    for name in _ARGUMENT_TYPES.keys() & arguments.keys():
        yield from find_unknown_fields(arguments[name], _ARGUMENT_TYPES[name], name)


def _read_argument_types() -> dict[str, str]:
    """Read the client's type names of all arguments that are objects or lists of objects."""
    type_names: dict[str, str] = {}
    for table, model in ((_SPEC_FIELDS, models.V1PodSpec), (_CONTAINER_FIELDS, models.V1Container)):
        attributes = {field: attribute for attribute, field in model.attribute_map.items()}
        type_names |= {name: str(model.openapi_types[attributes[field]]) for name, field in table.items()}
    return {name: type_name for name, type_name in type_names.items() if "V1" in type_name}


_ARGUMENT_TYPES = _read_argument_types()


def select_post_init_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Select the arguments to set after the stock constructor, which rejects them or is slow with them.

    Environment variables stay dictionaries: a client model takes a quarter of a millisecond, and a DAG has thousands.
    """
    selected = {name: arguments[name] for name in _MODEL_LISTS if _has_dictionaries(arguments.get(name))}
    variables = arguments.get("env_vars")
    if isinstance(variables, dict):
        selected["env_vars"] = [{"name": name, "value": value} for name, value in variables.items()]
    return selected


def _has_dictionaries(value: Any) -> bool:
    """Tell whether a list contains dictionaries, or is the unresolved result of another task."""
    if isinstance(value, (list, tuple)):
        return any(isinstance(item, dict) for item in value)
    return hasattr(value, "resolve")


def build_argument_layer(operator: KubernetesPodOperator, set_names: Set[str]) -> Json:
    """Build a layer of the pod from the operator's arguments.

    Args:
        operator: the task, with rendered fields or not.
        set_names: the arguments that the author set; the layer includes them even if they are false or empty.
    """
    converted_values = {
        "env_from": _read_env_from(operator),
        "env_vars": _read_variables(operator),
        "image_pull_secrets": [
            {"name": secret} if isinstance(secret, str) else secret for secret in operator.image_pull_secrets
        ],
        "node_selector": stringify_values(operator.node_selector),
        "labels": stringify_values(operator.labels),
        "annotations": stringify_values(operator.annotations),
    }

    def read(fields: dict[str, str]) -> Json:
        layer = {}
        for name, field in fields.items():
            value = converted_values[name] if name in converted_values else getattr(operator, name)
            if name in _SKIPPED_UNLESS_SET and name not in set_names:
                continue
            if value if name not in set_names else value is not None:
                layer[field] = serialize(value)
        return layer

    container = {"name": BASE, **read(_CONTAINER_FIELDS)}
    return {"metadata": read(_METADATA_FIELDS), "spec": {**read(_SPEC_FIELDS), "containers": [container]}}


def _read_variables(operator: KubernetesPodOperator) -> Any:
    """Read the environment variables, with numbers converted to strings."""
    variables = operator.env_vars
    if not variables and not operator.pod_runtime_info_envs:
        return []
    if isinstance(variables, dict):
        variables = [{"name": name, "value": value} for name, value in variables.items()]
    if not isinstance(variables, list):
        return _build_unresolved_variable(variables)
    entries = [*serialize(variables), *serialize(operator.pod_runtime_info_envs)]
    # If several variables have the same name, use the last one, as a shell does.
    return list({entry["name"]: stringify_values(entry) for entry in entries}.values())


def _build_unresolved_variable(variables: Any) -> list[Json]:
    """Build a placeholder for environment variables that Jinja or another task sets in the run.

    Raises:
        PodError: the variables are rendered, but are neither a dictionary nor a list.
    """
    text = serialize(variables)
    if "{{" not in str(text) and "{%" not in str(text):
        raise PodError(
            f"env_vars was rendered to a {type(variables).__name__}, but a dictionary or a list is required. "
            "Pass the dictionary itself, or set render_template_as_native_obj=True in the DAG."
        )
    return [{"name": "unresolved", "value": text}]


def _read_env_from(operator: KubernetesPodOperator) -> Any:
    """Read ``env_from`` with ``configmaps``, which provider 10.25 keeps separate because they are templated."""
    configmaps = getattr(operator, "configmaps", [])
    if not isinstance(operator.env_from, list):
        return operator.env_from
    return [*operator.env_from, *({"configMapRef": {"name": name}} for name in configmaps)]


@contextmanager
def hide_pod_arguments(operator: KubernetesPodOperator, *others: str) -> Iterator[None]:
    """Empty pod arguments, and others, within the context: the stock operator must not merge them again."""
    names = [*others, *_METADATA_FIELDS, *_SPEC_FIELDS, *_CONTAINER_FIELDS, "pod_runtime_info_envs", "full_pod_spec"]
    names += ["pod_template_file", "pod_template_dict"]
    names += ["configmaps"] if hasattr(operator, "configmaps") else []
    originals = {name: getattr(operator, name) for name in names}
    empty_values = {name: type(value)() for name, value in originals.items() if isinstance(value, (list, dict))}
    try:
        for name in names:
            setattr(operator, name, empty_values.get(name))
        yield
    finally:
        for name, value in originals.items():
            setattr(operator, name, value)
