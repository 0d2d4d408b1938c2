"""Pods that the Pod Security level of their namespace refuses."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kpo_platform.diagnosis.cause import Cause, build_cause
from kpo_platform.diagnosis.facts import Facts
from kpo_platform.diagnosis.fixes.amounts import merge_patches, patch_containers
from kpo_platform.diagnosis.signals import Signal
from kpo_platform.finding import Fix, Rule
from kpo_platform.pod.json_fields import read_object, read_objects, read_text
from kpo_platform.pod.merge import Json
from kpo_platform.pod.rules.pod_security import BASELINE_CAPABILITIES, RESTRICTED_CAPABILITIES
from kpo_platform.pod.xcom import XCOM_CONTAINER

RULES: dict[str, Rule] = {
    "pod-security": Rule("KPO-ADM106", "The pod meets the Pod Security level of the namespace."),
}
"""The causes of this part of the family by name."""

_VIOLATED = re.compile(r'violates PodSecurity "([^"]+)": (.+)', re.DOTALL)
_REASON = re.compile(r"([^(),][^()]*?)(?: \(((?:[^()]|\([^()]*\))*)\))?(?:, |$)")
_UNPRIVILEGED_USER = 50000
"""The user of the platform's pod templates; most images run as root unless a pod sets another."""

_STORAGE = "Mount storage through a PersistentVolumeClaim instead of {}."

_BY_NAME = "containers by name"
"""The key of the changed containers among the changed fields of a pod's spec."""

_SECCOMP = {"seccompProfile": {"type": "RuntimeDefault"}}

_CONTEXTS: dict[str, tuple[Json, Json]] = {
    "allowPrivilegeEscalation": ({}, {"allowPrivilegeEscalation": False}),
    "runAsNonRoot": ({"runAsNonRoot": True}, {"runAsNonRoot": True}),
    "runAsUser": ({"runAsUser": _UNPRIVILEGED_USER}, {"runAsUser": None}),
    "seccompProfile": (_SECCOMP, {"seccompProfile": None}),
    "privileged": ({}, {"privileged": False}),
    "procMount": ({}, {"procMount": None}),
    "hostProcess": ({"windowsOptions": None}, {"windowsOptions": None}),
    "AppArmor": ({"appArmorProfile": None}, {"appArmorProfile": None}),
    "seLinuxOptions": ({"seLinuxOptions": None}, {"seLinuxOptions": None}),
    "sysctls": ({"sysctls": None}, {}),
}
"""By the word of a violation: the security contexts that end it, of the pod and of each named container."""


def describe_pod_security(facts: Facts, signal: Signal) -> Cause | None:
    """Describe a pod that the Pod Security level refuses; None if it is refused because of something else."""
    violated = _VIOLATED.search(signal.message)
    if violated is None:
        return None
    level, listed = violated.groups()
    reasons = [(name.strip(), detail) for name, detail in _REASON.findall(listed.strip())]
    told = "; ".join(detail or name for name, detail in reasons) or listed
    text = f'The pod violates the Pod Security level "{level.partition(":")[0]}" of {facts.namespace}: {told}'
    spec: Json = {}
    advice = []
    for name, detail in reasons:
        change = _find_change(facts, name, detail, level)
        spec = merge_patches((spec, change))
        if not change:
            advice.append(_advise(name, detail))
    spec = _add_user(facts, spec)
    fix = " ".join([*_tell(facts, spec), *advice])
    patch = _build_patch(facts, spec) if spec else None
    return build_cause(RULES["pod-security"], facts.pod_ref, text, signal, Fix(fix, patch=patch))


def _find_change(facts: Facts, name: str, detail: str, level: str) -> Json:
    """Find the change that ends a violation: fields of the pod's spec, and of containers by name under their key."""
    named = [each for each in _list_names(facts) if f'"{each}"' in detail]
    if name == "host namespaces":
        return {field.partition("=")[0].strip(): None for field in detail.split(",")}
    if "capabilities" in name:
        return _change_containers(facts, named, lambda container: _limit_capabilities(container, level))
    if name == "hostPort":
        return _change_containers(facts, named, _remove_host_ports)
    word = next((word for word in _CONTEXTS if word in name), "")
    if not word:
        return {}
    of_pod, of_container = _CONTEXTS[word]
    # The pod's context is enough where a container sets nothing itself; root in a container inherits the pod's user.
    is_of_pod = not named or "pod or container" in detail or detail.startswith("pod ")
    has_user = bool(read_object(facts.spec.get("securityContext")).get("runAsUser"))
    context = {"securityContext": of_pod} if of_pod and (is_of_pod or (word == "runAsUser" and not has_user)) else {}
    at_fault = [] if "pod or container" in detail else named
    return merge_patches((context, _change_containers(facts, at_fault, lambda _: {"securityContext": of_container})))


def _change_containers(facts: Facts, names: list[str], change: Callable[[Json], Json]) -> Json:
    changes = {name: change(facts.find_container(name)) for name in names}
    return {_BY_NAME: {name: fields for name, fields in changes.items() if fields}} if names else {}


def _limit_capabilities(container: Json, level: str) -> Json:
    present = read_object(read_object(container.get("securityContext")).get("capabilities")).get("add")
    added = [each for each in present if isinstance(each, str)] if isinstance(present, list) else []
    is_restricted = level.startswith("restricted")
    allowed = RESTRICTED_CAPABILITIES if is_restricted else BASELINE_CAPABILITIES
    capabilities: Json = {"drop": ["ALL"]} if is_restricted else {}
    if added:
        capabilities["add"] = [each for each in added if each in allowed] or None
    return {"securityContext": {"capabilities": capabilities}}


def _remove_host_ports(container: Json) -> Json:
    ports = [each for each in read_objects(container.get("ports")) if each.get("hostPort")]
    return {"ports": [{**port, "hostPort": None} for port in ports]}


def _add_user(facts: Facts, spec: Json) -> Json:
    """Add a user if the pod must not run as root, and sets none."""
    pod_context = read_object(facts.spec.get("securityContext"))
    users = [read_object(each.get("securityContext")).get("runAsUser") for each in facts.list_containers()]
    is_forbidden = read_object(spec.get("securityContext")).get("runAsNonRoot")
    if is_forbidden and pod_context.get("runAsUser") is None and all(user is None for user in users):
        return merge_patches((spec, {"securityContext": {"runAsUser": _UNPRIVILEGED_USER}}))
    return spec


def _build_patch(facts: Facts, spec: Json) -> Json:
    of_pod = {key: value for key, value in spec.items() if key != _BY_NAME}
    return merge_patches(({"spec": of_pod}, patch_containers(facts, spec.get(_BY_NAME, {}))))


def _tell(facts: Facts, spec: Json) -> Iterator[str]:
    """Tell each change with the operator's argument for it."""
    for key, value in spec.items():
        if key == "securityContext":
            yield f"Set security_context={_format(value)}."
        elif key == "hostNetwork":
            yield "Leave out hostnetwork."
        elif key != _BY_NAME:
            yield f"Leave out {key} of the pod's template or pod_override."
    for name, fields in read_object(spec.get(_BY_NAME)).items():
        if "ports" in fields:
            yield f"Leave out hostPort in the ports of container {name}."
        if "securityContext" in fields:
            yield f"Set {_find_argument(facts, name)}{_format(fields['securityContext'])}."


def _find_argument(facts: Facts, name: str) -> str:
    if name == facts.program.name:
        return "container_security_context="
    if name == XCOM_CONTAINER:
        return "xcom_sidecar_container_security_context of the Airflow connection to "
    return f"securityContext of container {name} to "


def _format(fields: Mapping[str, Any]) -> str:
    """Format fields as a dictionary in Python; a field to leave out is None."""
    return repr(dict(fields))


def _advise(name: str, detail: str) -> str:
    if "volume" in name:
        return _STORAGE.format(detail.partition(" uses ")[0] or name)
    return f"Remove from the pod what violates the level: {detail or name}."


def _list_names(facts: Facts) -> list[str]:
    return [read_text(each.get("name")) for each in facts.list_containers()]
