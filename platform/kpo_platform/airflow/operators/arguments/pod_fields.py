"""The stock operator's arguments that describe the pod, and where in the pod each one stands.

One table serves three directions: refusing fields that Kubernetes does not have, reading the arguments as a layer of
the pod, and silencing them while the stock operator finishes the composed pod, so that nothing is merged twice.
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

_METADATA = {"labels": "labels", "annotations": "annotations"}

_SPEC = {
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

_CONTAINER = {
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

_PODS = ("full_pod_spec", "pod_override", "pod_template_dict")

_ONLY_WHEN_GIVEN = frozenset({"termination_message_policy"})
"""The stock default, ``File``, is no wish of the author's."""

_MODELS_ONLY = ("ports", "volume_mounts", "volumes")
"""Lists that the stock operator of provider 10.22 takes as models of the client only."""


def check_argument_fields(given: Mapping[str, Any]) -> Iterator[Refusal]:
    """Refuse fields in arguments that Kubernetes does not have, such as ``workDir`` in a container."""
    for name in _PODS:
        yield from find_unknown_fields(given.get(name), "V1Pod", name)
    for name in _KINDS.keys() & given.keys():
        yield from find_unknown_fields(given[name], _KINDS[name], name)


def _kinds() -> dict[str, str]:
    """The type, as the client spells it, of every argument that is, or lists, objects with fields."""
    kinds: dict[str, str] = {}
    for table, model in ((_SPEC, models.V1PodSpec), (_CONTAINER, models.V1Container)):
        attributes = {field: attribute for attribute, field in model.attribute_map.items()}
        kinds |= {name: str(model.openapi_types[attributes[field]]) for name, field in table.items()}
    return {name: kind for name, kind in kinds.items() if "V1" in kind}


_KINDS = _kinds()


def select_post_init_arguments(given: Mapping[str, Any]) -> dict[str, Any]:
    """Those arguments that the stock operator would not take, or slowly; to be set once it is made.

    Variables are kept as data: a model of the client costs a quarter of a millisecond, and a DAG has thousands.
    """
    held = {name: given[name] for name in _MODELS_ONLY if _is_data(given.get(name))}
    variables = given.get("env_vars")
    if isinstance(variables, dict):
        held["env_vars"] = [{"name": name, "value": value} for name, value in variables.items()]
    return held


def _is_data(value: Any) -> bool:
    """Whether a list holds dictionaries, or is another task's result."""
    if isinstance(value, (list, tuple)):
        return any(isinstance(item, dict) for item in value)
    return hasattr(value, "resolve")


def build_argument_layer(operator: KubernetesPodOperator, given: Set[str]) -> Json:
    """The operator's arguments as a layer of the pod.

    Args:
        operator: with its templated fields rendered, or not yet.
        given: the arguments that the author wrote; of these, false and empty values count as well.
    """
    special = {
        "env_from": _env_from(operator),
        "env_vars": _env(operator),
        "image_pull_secrets": [{"name": one} if isinstance(one, str) else one for one in operator.image_pull_secrets],
        "node_selector": stringify_values(operator.node_selector),
        "labels": stringify_values(operator.labels),
        "annotations": stringify_values(operator.annotations),
    }

    def read(fields: dict[str, str]) -> Json:
        wanted = {}
        for name, field in fields.items():
            value = special[name] if name in special else getattr(operator, name)
            if name in _ONLY_WHEN_GIVEN and name not in given:
                continue
            if value if name not in given else value is not None:
                wanted[field] = serialize(value)
        return wanted

    container = {"name": BASE, **read(_CONTAINER)}
    return {"metadata": read(_METADATA), "spec": {**read(_SPEC), "containers": [container]}}


def _env(operator: KubernetesPodOperator) -> Any:
    """Variables with texts for values: Kubernetes takes nothing else, people write numbers."""
    variables = operator.env_vars
    if not variables and not operator.pod_runtime_info_envs:
        return []
    if isinstance(variables, dict):
        variables = [{"name": name, "value": value} for name, value in variables.items()]
    if not isinstance(variables, list):
        return _later(variables)
    own = serialize(variables)
    listed = [stringify_values(one) for one in [*own, *serialize(operator.pod_runtime_info_envs)]]
    # Of two variables of one name the later one wins, as in a shell.
    return list({one["name"]: one for one in listed}.values())


def _later(variables: Any) -> list[Json]:
    """Variables that another task or Jinja has still to give.

    Raises:
        PodError: they were rendered, and are neither dictionary nor list.
    """
    text = serialize(variables)
    if "{{" not in str(text) and "{%" not in str(text):
        raise PodError(
            f"env_vars was rendered to a {type(variables).__name__}, but a dictionary or a list was expected: "
            "give the dictionary itself, or set render_template_as_native_obj=True in the DAG."
        )
    return [{"name": "later", "value": text}]


def _env_from(operator: KubernetesPodOperator) -> Any:
    """Provider 10.25 keeps ``configmaps`` apart, because they are templated there."""
    apart = getattr(operator, "configmaps", [])
    if not isinstance(operator.env_from, list):
        return operator.env_from
    return [*operator.env_from, *({"configMapRef": {"name": name}} for name in apart)]


@contextmanager
def hide_pod_arguments(operator: KubernetesPodOperator) -> Iterator[None]:
    """While this lasts, the operator describes no pod of its own and takes the composed one as it is."""
    names = [*_METADATA, *_SPEC, *_CONTAINER, "pod_runtime_info_envs", "full_pod_spec"]
    names += ["pod_template_file", "pod_template_dict"]
    names += ["configmaps"] if hasattr(operator, "configmaps") else []
    before = {name: getattr(operator, name) for name in names}
    collections = {name: type(value)() for name, value in before.items() if isinstance(value, (list, dict))}
    try:
        for name in names:
            setattr(operator, name, collections.get(name))
        yield
    finally:
        for name, value in before.items():
            setattr(operator, name, value)
