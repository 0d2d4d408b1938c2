"""The stock operator's arguments that describe the pod, and where in the pod each one stands.

One table serves both directions: reading the arguments as a layer of the pod, and silencing them while the
stock operator finishes the composed pod, so that nothing is merged twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from contextlib import contextmanager
from typing import Any

from airflow.providers.cncf.kubernetes.backcompat.backwards_compat_converters import (
    convert_env_vars_or_raise_error,
)
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from kubernetes.client import ApiClient

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

_to_json = ApiClient().sanitize_for_serialization


def as_json(pod: Any) -> Json:
    """A pod, or part of one, as the API's JSON: a client model, a dictionary, or nothing."""
    return dict(_to_json(pod) or {})


def as_layer(operator: KubernetesPodOperator, given: Set[str]) -> Json:
    """The operator's arguments as a layer of the pod.

    Args:
        operator: with its templated fields rendered.
        given: the arguments that the author wrote; of these, false and empty values count as well.
    """
    env = convert_env_vars_or_raise_error(operator.env_vars) if operator.env_vars else []
    rendered = {"env_vars": [*env, *operator.pod_runtime_info_envs]}

    def read(fields: dict[str, str]) -> Json:
        values = {name: rendered.get(name, getattr(operator, name)) for name in fields}
        wanted = {name: value for name, value in values.items() if value or (name in given and value is not None)}
        return {fields[name]: _to_json(value) for name, value in wanted.items()}

    container = {"name": BASE, **read(_CONTAINER)}
    return {"metadata": read(_METADATA), "spec": {**read(_SPEC), "containers": [container]}}


@contextmanager
def silenced(operator: KubernetesPodOperator) -> Iterator[None]:
    """While this lasts, the operator describes no pod of its own and takes the composed one as it is."""
    names = [*_METADATA, *_SPEC, *_CONTAINER, "pod_runtime_info_envs", "full_pod_spec"]
    names += ["pod_template_file", "pod_template_dict", "termination_message_policy"]
    before = {name: getattr(operator, name) for name in names}
    collections = {name: type(value)() for name, value in before.items() if isinstance(value, (list, dict))}
    try:
        for name in names:
            setattr(operator, name, collections.get(name))
        yield
    finally:
        for name, value in before.items():
            setattr(operator, name, value)
