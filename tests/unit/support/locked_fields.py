"""Fields of a pod that its author may not move, and how to reach them."""

from __future__ import annotations

from typing import Any

Path = tuple[str, ...]

BASE: Path = ("spec", "containers", "base", "securityContext")
"""Within a list, the name of an item stands for its place."""

POLICY = {"cost-center": "fixed"}
"""Labels that the platform fixes beside the team's own."""

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
"""Each with a value that is not the team's, and how the refusal names it."""

PARENTS: list[Path] = [
    ("metadata",),
    ("metadata", "labels"),
    ("spec", "securityContext"),
    BASE,
    (*BASE, "capabilities"),
]
"""What holds several of them."""


def pod_with(path: Path, value: Any) -> dict[str, Any]:
    """A pod in which nothing but one field stands."""
    field, *rest = path
    if not rest:
        return {field: value}
    if field == "containers":
        return {field: [{"name": rest[0], **pod_with(tuple(rest[1:]), value)}]}
    return {field: pod_with(tuple(rest), value)}


def at(value: Any, path: Path) -> Any:
    """What stands in a field, or None."""
    for field in path:
        if isinstance(value, list):
            value = next((item for item in value if item["name"] == field), None)
        else:
            value = (value or {}).get(field)
    return value
