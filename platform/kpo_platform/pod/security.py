"""The Pod Security levels, as far as a pod can offend against them, in sentences that name the field.

Source: Kubernetes, "Pod Security Standards", levels baseline and restricted. The namespace's admission refuses the
same; here the author learns it when the DAG is read, and what to write instead.
"""

from __future__ import annotations

from kpo_platform.contract import Team
from kpo_platform.pod.merge import Json, merge

_FLOOR = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
"""What the restricted level wants every container to say by itself."""


def apply_security_floor(pod: Json, team: Team) -> Json:
    """The pod with what the restricted level wants said, wherever its author said nothing.

    Also for init containers and sidecars of the author's own: the API would refuse the pod for their silence. Where
    another level holds, a container that is to run as root may.
    """
    if team.pod_security != "restricted":
        return _with_root(pod)
    spec = pod["spec"]
    pod_level = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    floored = {
        kind: [{**one, "securityContext": merge(_FLOOR, one.get("securityContext") or {})} for one in spec[kind]]
        for kind in ("initContainers", "containers")
        if spec.get(kind)
    }
    context = merge(pod_level, spec.get("securityContext") or {})
    return {**pod, "spec": {**spec, **floored, "securityContext": context}}


def _with_root(pod: Json) -> Json:
    """The pod without the template's ``runAsNonRoot`` over containers whose user the author made root.

    The node would not start them: the template says it of its own user, at the pod's level.
    """
    spec = pod["spec"]
    whole = spec.get("securityContext") or {}
    containers = {
        kind: [_root_allowed(one, whole) for one in spec[kind]]
        for kind in ("initContainers", "containers")
        if spec.get(kind)
    }
    return {**pod, "spec": {**spec, **containers}}


def _root_allowed(container: Json, whole: Json) -> Json:
    own = container.get("securityContext") or {}
    if own.get("runAsNonRoot") is not None or not has_root_conflict(own, whole):
        return container
    return {**container, "securityContext": {**own, "runAsNonRoot": False}}


def has_root_conflict(own: Json, whole: Json) -> bool:
    """Whether a container's context and the pod's together ask for root and forbid it."""
    effective = {**whole, **{field: value for field, value in own.items() if value is not None}}
    return effective.get("runAsUser") == 0 and effective.get("runAsNonRoot") is True
