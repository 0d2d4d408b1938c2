"""The operator argument that sets a field of a pod."""

from __future__ import annotations

import re

from kpo_platform.diagnosis.facts import Facts
from kpo_platform.pod.json_fields import read_objects, read_text

PATCH_ARGUMENT = "pod_override"
"""The argument for fields without an own one."""

_POD_ARGUMENTS = {
    "activeDeadlineSeconds": "active_deadline_seconds",
    "affinity": "affinity",
    "annotations": "annotations",
    "dnsConfig": "dns_config",
    "dnsPolicy": "dnspolicy",
    "fsGroup": "security_context",
    "hostAliases": "host_aliases",
    "hostNetwork": "hostnetwork",
    "hostname": "hostname",
    "imagePullSecrets": "image_pull_secrets",
    "initContainers": "init_containers",
    "labels": "labels",
    "name": "name",
    "nodeSelector": "node_selector",
    "priorityClassName": "priority_class_name",
    "runtimeClassName": "runtime_class_name",
    "schedulerName": "schedulername",
    "securityContext": "security_context",
    "serviceAccountName": "service_account_name",
    "subdomain": "subdomain",
    "terminationGracePeriodSeconds": "termination_grace_period",
    "tolerations": "tolerations",
    "volumes": "volumes",
}
_CONTAINER_ARGUMENTS = {
    "args": "arguments",
    "command": "cmds",
    "env": "env_vars",
    "envFrom": "env_from",
    "image": "image",
    "imagePullPolicy": "image_pull_policy",
    "ports": "ports",
    "resources": "container_resources",
    "runAsUser": "container_security_context",
    "securityContext": "container_security_context",
    "terminationMessagePolicy": "termination_message_policy",
    "volumeMounts": "volume_mounts",
}
_CONTAINER = re.compile(r"(containers|initContainers)(?:\[|/|\.)?(\d+)?\]?[./]?(\w+)?")
_FIELD = re.compile(r"\w+")


def find_argument(facts: Facts, path: str) -> str:
    """Find the operator argument for a path such as ``spec.containers[0].image`` or ``/spec/volumes/0``.

    A field without an argument is set with `pod_override`.
    """
    if container := _CONTAINER.search(path):
        kind, index, field = container.groups()
        name = find_name(facts, path)
        is_program = kind == "containers" and (name == facts.program.name if index else True)
        if is_program and field in _CONTAINER_ARGUMENTS:
            return _CONTAINER_ARGUMENTS[field]
        return "init_containers" if kind == "initContainers" else PATCH_ARGUMENT
    fields = [each for each in _FIELD.findall(path) if each not in ("spec", "metadata", "pod")]
    return _POD_ARGUMENTS.get(fields[0], PATCH_ARGUMENT) if fields else PATCH_ARGUMENT


def find_name(facts: Facts, path: str) -> str:
    """Find the name of the container that a path is about; empty if it is about the pod or not known."""
    container = _CONTAINER.search(path)
    if container is None or container[2] is None:
        return ""
    specs = read_objects(facts.spec.get(container[1]))
    index = int(container[2])
    return read_text(specs[index].get("name")) if index < len(specs) else ""
