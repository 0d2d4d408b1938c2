"""Rule: a pod meets the Pod Security level of its namespace."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kpo_platform.contract import Team
from kpo_platform.finding import Refusal
from kpo_platform.pod.containers import iterate_containers
from kpo_platform.pod.merge import Json
from kpo_platform.pod.security import has_root_conflict

_FIX = "Leave it out. If the program needs it, ask the platform team for another way."

BASELINE_CAPABILITIES = frozenset(
    {
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    }
)
"""Capabilities that the level baseline allows to add."""

RESTRICTED_CAPABILITIES = frozenset({"NET_BIND_SERVICE"})
"""Capabilities that the level restricted allows to add."""

_RESTRICTED_VOLUMES = frozenset(
    {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "image",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
)
"""Types of volumes that the level restricted allows."""

_SAFE_SYSCTLS = frozenset(
    {
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.ping_group_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
    }
)
"""Sysctls that the level baseline allows."""


def check_pod_security(pod: Json, team_name: str, team: Team) -> Iterator[Refusal]:
    """Refuse fields that the team's Pod Security level does not allow.

    Args:
        pod: the composed v1 Pod; None stands for a value that is not known yet.
        team_name: the team's name.
        team: the team of this name.
    """
    restricted = team.pod_security == "restricted"
    for violation in _find_baseline_violations(pod):
        yield Refusal("security", f"{violation}, which no team's Pod Security level allows", _FIX)
    for violation in _find_restricted_violations(pod) if restricted else ():
        yield Refusal(
            "security",
            f"{violation}, but team {team_name!r} has the Pod Security level restricted",
            "Leave it out, or ask the platform team for podSecurity: baseline if the image needs it.",
        )
    for container in () if restricted else iterate_containers(pod):
        if has_root_conflict(container.get("securityContext") or {}, pod["spec"].get("securityContext") or {}):
            yield Refusal(
                "security",
                f"Container {container.get('name')!r} runs as root (runAsUser 0), but runAsNonRoot forbids it, so no "
                "node starts it",
                "Set runAsNonRoot: False beside runAsUser, or leave runAsUser out.",
            )
    for volume in pod["spec"].get("volumes") or []:
        if restricted and volume.get("nfs"):
            yield Refusal(
                "nfs",
                f"Volume {volume.get('name')!r} mounts NFS directly, which the Pod Security level restricted of team "
                f"{team_name!r} does not allow",
                "Use a PersistentVolumeClaim: ask the platform team to add it to the team's volumes.",
            )


def _find_baseline_violations(pod: Json) -> Iterator[str]:
    spec = pod["spec"]
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(field):
            yield f"The pod sets {field}"
    for volume in spec.get("volumes") or []:
        if volume.get("hostPath") is not None:
            yield f"Volume {volume.get('name')!r} mounts a path of the node (hostPath)"
    for setting in (spec.get("securityContext") or {}).get("sysctls") or []:
        if setting.get("name") not in _SAFE_SYSCTLS:
            yield f"The pod sets the sysctl {setting.get('name')}"
    yield from _check_context(spec.get("securityContext") or {}, "The pod")
    for container in iterate_containers(pod):
        subject = f"Container {container.get('name')!r}"
        context = container.get("securityContext") or {}
        yield from _check_context(context, subject)
        yield from _check_baseline_container(container, context, subject)


def _check_context(context: Json, subject: str) -> Iterator[str]:
    """Check the fields that security contexts of pods and containers have in common."""
    for field in ("seccompProfile", "appArmorProfile"):
        if (context.get(field) or {}).get("type") == "Unconfined":
            yield f"{subject} sets {field} to Unconfined"
    if (context.get("windowsOptions") or {}).get("hostProcess"):
        yield f"{subject} sets windowsOptions.hostProcess"
    selinux = context.get("seLinuxOptions") or {}
    if selinux.get("user") or selinux.get("role"):
        yield f"{subject} sets an SELinux user or role"


def _check_baseline_container(container: Json, context: Json, subject: str) -> Iterator[str]:
    if context.get("privileged"):
        yield f"{subject} is privileged"
    if context.get("procMount") not in (None, "Default"):
        yield f"{subject} sets procMount to {context['procMount']}"
    for capability in _list_added_capabilities(context):
        if capability not in BASELINE_CAPABILITIES:
            yield f"{subject} adds the capability {capability}"
    for port in container.get("ports") or []:
        if port.get("hostPort"):
            yield f"{subject} uses the port {port['hostPort']} of the node (hostPort)"


def _find_restricted_violations(pod: Json) -> Iterator[str]:
    spec = pod["spec"]
    yield from _check_root(spec.get("securityContext") or {}, "The pod")
    for container in iterate_containers(pod):
        subject = f"Container {container.get('name')!r}"
        context = container.get("securityContext") or {}
        yield from _check_root(context, subject)
        if context.get("allowPrivilegeEscalation"):
            yield f"{subject} sets allowPrivilegeEscalation"
        for capability in _list_added_capabilities(context):
            if capability in BASELINE_CAPABILITIES - RESTRICTED_CAPABILITIES:
                yield f"{subject} adds the capability {capability}"
        dropped = (context.get("capabilities") or {}).get("drop")
        if dropped is not None and "ALL" not in dropped:
            yield f"{subject} drops {', '.join(map(str, dropped)) or 'no capability'} instead of ALL"
    for volume in spec.get("volumes") or []:
        kinds = set(volume) - {"name"} - _RESTRICTED_VOLUMES - {"nfs", "hostPath"}
        for kind in sorted(kinds):
            yield f"Volume {volume.get('name')!r} has the type {kind}"


def _check_root(context: Json, subject: str) -> Iterator[str]:
    if context.get("runAsNonRoot") is False:
        yield f"{subject} sets runAsNonRoot to false"
    if context.get("runAsUser") == 0:
        yield f"{subject} runs as root (runAsUser 0)"


def _list_added_capabilities(context: Json) -> list[Any]:
    return list((context.get("capabilities") or {}).get("add") or [])
