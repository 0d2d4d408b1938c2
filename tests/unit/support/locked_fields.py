"""Locked fields of a pod, and functions to set and get them."""

from __future__ import annotations

from typing import Any

Path = tuple[str, ...]

BASE: Path = ("spec", "containers", "base", "securityContext")
"""A path to a field of a pod; an item of a list is identified by its name."""

POLICY = {"cost-center": "fixed"}
"""The label policy that makes the team's ``cost-center`` a locked field."""

LOCKED: list[tuple[Path, Any, str]] = [
    (("metadata", "namespace"), "team-beta", "namespace is 'team-beta'"),
    (("metadata", "labels", "kpo-platform/team"), "beta", "The label kpo-platform/team is 'beta'"),
    (("metadata", "labels", "cost-center"), "cc-9", "The label cost-center is 'cc-9'"),
    (("spec", "serviceAccountName"), "admin", "serviceAccountName is 'admin'"),
    (("spec", "serviceAccount"), "admin", "serviceAccount is 'admin'"),
    (("spec", "automountServiceAccountToken"), True, "automountServiceAccountToken is True"),
    (("spec", "restartPolicy"), "Always", "restartPolicy is 'Always'"),
    (("spec", "hostNetwork"), True, "The pod sets hostNetwork"),
    (("spec", "securityContext", "runAsNonRoot"), False, "The pod sets runAsNonRoot to false"),
    (("spec", "securityContext", "runAsUser"), 0, "The pod runs as root"),
    (("spec", "securityContext", "seccompProfile"), {"type": "Unconfined"}, "The pod sets seccompProfile"),
    ((*BASE, "runAsNonRoot"), False, "Container 'base' sets runAsNonRoot to false"),
    ((*BASE, "runAsUser"), 0, "Container 'base' runs as root"),
    ((*BASE, "privileged"), True, "Container 'base' is privileged"),
    ((*BASE, "allowPrivilegeEscalation"), True, "Container 'base' sets allowPrivilegeEscalation"),
    ((*BASE, "capabilities", "drop"), [], "Container 'base' drops no capability"),
    ((*BASE, "capabilities", "add"), ["SYS_ADMIN"], "Container 'base' adds the capability SYS_ADMIN"),
]
"""Locked fields: the path, a value other than the team's, and the start of the refusal."""

PARENTS: list[Path] = [
    ("metadata",),
    ("metadata", "labels"),
    ("spec", "securityContext"),
    BASE,
    (*BASE, "capabilities"),
]
"""Objects that contain several locked fields."""


def build_pod_with_field(path: Path, value: Any) -> dict[str, Any]:
    """Build a partial pod with only this field."""
    field, *rest = path
    if not rest:
        return {field: value}
    if field == "containers":
        return {field: [{"name": rest[0], **build_pod_with_field(tuple(rest[1:]), value)}]}
    return {field: build_pod_with_field(tuple(rest), value)}


def get_field(value: Any, path: Path) -> Any:
    """Get the value of a field; None if the pod does not have it."""
    for field in path:
        if isinstance(value, list):
            value = next((item for item in value if item["name"] == field), None)
        else:
            value = (value or {}).get(field)
    return value
