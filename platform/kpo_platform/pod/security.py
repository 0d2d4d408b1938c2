"""Security contexts of pods and containers, as the team's Pod Security level requires them.

Source: Kubernetes, "Pod Security Standards", levels baseline and restricted.
"""

from __future__ import annotations

from kpo_platform.contract import Team
from kpo_platform.pod.merge import Json, merge

_RESTRICTED = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
"""The fields that the level restricted requires in every container."""


def apply_security_context(pod: Json, team: Team) -> Json:
    """Set the required security context fields of the team's Pod Security level where the author did not.

    The level restricted requires the fields in init containers and sidecars too. Under another level, a container
    whose author requests root may run as root.
    """
    if team.pod_security != "restricted":
        return _allow_root(pod)
    spec = pod["spec"]
    pod_level = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    containers = {
        kind: [
            {**item, "securityContext": merge(_RESTRICTED, item.get("securityContext") or {})} for item in spec[kind]
        ]
        for kind in ("initContainers", "containers")
        if spec.get(kind)
    }
    context = merge(pod_level, spec.get("securityContext") or {})
    return {**pod, "spec": {**spec, **containers, "securityContext": context}}


def _allow_root(pod: Json) -> Json:
    """Override the template's ``runAsNonRoot`` in containers that run as root.

    The template sets it for the whole pod, and a node does not start a root container with it.
    """
    spec = pod["spec"]
    pod_context = spec.get("securityContext") or {}
    containers = {
        kind: [_allow_root_in_container(item, pod_context) for item in spec[kind]]
        for kind in ("initContainers", "containers")
        if spec.get(kind)
    }
    return {**pod, "spec": {**spec, **containers}}


def _allow_root_in_container(container: Json, pod_context: Json) -> Json:
    own = container.get("securityContext") or {}
    if own.get("runAsNonRoot") is not None or not has_root_conflict(own, pod_context):
        return container
    return {**container, "securityContext": {**own, "runAsNonRoot": False}}


def has_root_conflict(container_context: Json, pod_context: Json) -> bool:
    """Whether the security contexts of a container and its pod request root and forbid it."""
    effective = {**pod_context, **{field: value for field, value in container_context.items() if value is not None}}
    return effective.get("runAsUser") == 0 and effective.get("runAsNonRoot") is True
