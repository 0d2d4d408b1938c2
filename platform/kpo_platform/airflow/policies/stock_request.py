"""Build the pod request of a task of the stock operator."""

from __future__ import annotations

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator

from kpo_platform.airflow.operators.arguments.pod_fields import build_argument_layer
from kpo_platform.airflow.operators.arguments.serialize import (
    is_unresolved,
    read_pod_file,
    serialize,
    serialize_pod,
)
from kpo_platform.pod.compose import BASE, PodRequest
from kpo_platform.pod.merge import Json, merge


def build_request(task: KubernetesPodOperator, team_name: str) -> PodRequest:
    """Build the request: arguments override ``full_pod_spec``, which overrides the task's template."""
    spec = serialize_pod(task.full_pod_spec)
    pod = merge(_rename_first_container(_read_template(task)), _rename_first_container(spec))
    # This policy may have set task.namespace, which must not hide a different namespace in the pod.
    namespace = (pod.get("metadata") or {}).get("namespace") or serialize(task.namespace)
    identity = {
        "metadata": _remove_none({"namespace": namespace}),
        "spec": _remove_none({"serviceAccountName": task.service_account_name}),
    }
    arguments = merge(build_argument_layer(task, frozenset()), identity)
    return PodRequest(team=team_name, own_template=pod, arguments=arguments)


def is_template_unresolved(task: KubernetesPodOperator) -> bool:
    """Tell whether the task's template is Jinja or the unresolved result of another task."""
    return is_unresolved(task.pod_template_file or task.pod_template_dict)


def rename_container(pod: Json, name: str, new_name: str) -> Json:
    """Return the pod with its container ``name`` renamed."""
    spec = pod["spec"]
    containers = [
        {**container, "name": new_name} if container.get("name") == name else container
        for container in spec["containers"]
    ]
    return {**pod, "spec": {**spec, "containers": containers}}


def _read_template(task: KubernetesPodOperator) -> Json:
    """Read the task's template from its file, else from its dictionary; empty while it is unresolved."""
    if is_template_unresolved(task):
        return {}
    path = serialize(task.pod_template_file)
    return read_pod_file(path) if path else serialize_pod(task.pod_template_dict)


def _rename_first_container(pod: Json) -> Json:
    """Rename the first container, in which the stock operator runs the task, to base."""
    containers = (pod.get("spec") or {}).get("containers") or []
    return rename_container(pod, containers[0].get("name"), BASE) if containers else pod


def _remove_none(fields: Json) -> Json:
    return {key: value for key, value in fields.items() if value is not None}
