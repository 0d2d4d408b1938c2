"""Containers beside the program: those that keep the pod running, and those that fail."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from kpo_platform.diagnosis.cause import Cause, build_cause
from kpo_platform.diagnosis.causes.run.probe_kill import CRASH_LOOP, find_kill, find_recent_end, will_restart
from kpo_platform.diagnosis.facts import Facts
from kpo_platform.diagnosis.signals import Signal
from kpo_platform.finding import Fix, Rule
from kpo_platform.pod.json_fields import read_objects, read_text
from kpo_platform.pod.merge import Json
from kpo_platform.pod.rules.credentials import check_container_credentials
from kpo_platform.pod.state import ContainerState
from kpo_platform.pod.xcom import XCOM_CONTAINER

RULES: dict[str, Rule] = {
    "sidecar-stays": Rule("KPO-RUN103", "No container keeps the pod running after its program has ended."),
    "sidecar-fails": Rule("KPO-RUN104", "The sidecars run without errors."),
}
"""The causes of this module by name."""

_GRACE = timedelta(seconds=10)
"""How long a sidecar may run on after the program: some end by themselves."""

_TOLD_TO_STOP = (137, 143)
_TOKEN_VOLUME = "kube-api-access-"


def find_staying_sidecars(facts: Facts) -> Iterator[Cause]:
    """Find containers that run on after the program: Kubernetes ends only native sidecars."""
    program = facts.program
    if not program.is_terminated or program.is_lost or facts.state.has_ended or facts.state.deletion_requested_at:
        return
    if program.finished_at is not None and facts.now - program.finished_at < _GRACE:
        return
    for container in facts.state.containers:
        if container.kind == "main" and container.phase == "running" and container.name != XCOM_CONTAINER:
            yield _describe_staying(facts, container.name)


def _describe_staying(facts: Facts, name: str) -> Cause:
    program = facts.program
    text = f'The program has ended (exit code {program.exit_code}), but container "{name}" still runs, so the pod '
    text += "does not end"
    fix = Fix(
        f'Move container "{name}" to init_containers with restart_policy="Always": as a native sidecar it ends with '
        "the program; or use a sidecar of the platform (sidecars).",
        patch=_build_native_sidecar(facts.find_container(name)),
    )
    signal = Signal("terminated", program.reason or "Completed", "", program.name)
    is_failure = program.exit_code != 0
    return build_cause(RULES["sidecar-stays"], facts.pod_ref, text, signal, fix, "grace", is_vague=is_failure)


def _build_native_sidecar(container: Json) -> dict[str, Any] | None:
    """Build the patch that moves a container; None if it is not wholly known, or could contain a credential."""
    values = [each.get("value") for each in read_objects(container.get("env"))]
    command = [word for key in ("command", "args") for word in read_strings(container.get(key))]
    if not container.get("image") or any(values) or any(check_container_credentials({"command": command})):
        return None
    mounts = read_objects(container.get("volumeMounts"))
    kept = [each for each in mounts if not read_text(each.get("name")).startswith(_TOKEN_VOLUME)]
    moved = {**container, **({"volumeMounts": kept} if mounts else {}), "restartPolicy": "Always"}
    removed = {"name": container.get("name"), "$patch": "delete"}
    return {"spec": {"containers": [removed], "initContainers": [moved]}}


def read_strings(value: Any) -> list[str]:
    """Return the strings of a list."""
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def find_failing_sidecars(facts: Facts) -> Iterator[Cause]:
    """Find sidecars that fail although the program runs or has succeeded."""
    program = facts.program
    if program.phase == "waiting" or (program.is_terminated and program.exit_code != 0):
        return
    for container in facts.state.containers:
        if container.kind == "init" or container.name == program.name or container.is_lost:
            continue
        ended = find_recent_end(facts, container) if _is_repeating(facts, container) else container
        if ended is not None and _has_failed(facts, ended, container):
            yield _describe_failing(facts, ended, container)


def _is_repeating(facts: Facts, container: ContainerState) -> bool:
    """Tell whether a sidecar ends again and again: the kubelet says so some seconds after its end."""
    has_failed = container.is_terminated and container.exit_code != 0 and will_restart(facts, container)
    former = facts.former_state.container(container.name)
    return container.reason == CRASH_LOOP or (has_failed and former.is_terminated and former.exit_code != 0)


def _has_failed(facts: Facts, ended: ContainerState, container: ContainerState) -> bool:
    """Tell whether a sidecar has failed; what ends with the program was told to stop."""
    if find_kill(facts, ended) is not None:
        return False
    if _is_repeating(facts, container):
        return True
    was_stopped = ended.exit_code in _TOLD_TO_STOP and ended.reason != "OOMKilled" and facts.program.is_terminated
    return ended.kind == "main" and bool(ended.exit_code) and not was_stopped


def _describe_failing(facts: Facts, ended: ContainerState, container: ContainerState) -> Cause:
    is_restarting = _is_repeating(facts, container)
    again, previous = (" again and again", " --previous") if is_restarting else ("", "")
    text = f'Sidecar "{ended.name}" has ended{again} ({ended.reason or "Error"}, exit code {ended.exit_code}); the '
    text += "program does not depend on it"
    name, namespace = shlex.quote(facts.state.name), shlex.quote(facts.namespace)
    log = f"kubectl -n {namespace} logs {name} -c {shlex.quote(ended.name)}{previous}"
    signal = Signal("terminated", container.reason or "Error", container.message, container.name)
    fix = Fix("Correct the sidecar; its log:", commands=(log,))
    rule, about = RULES["sidecar-fails"], facts.pod_ref
    return build_cause(rule, about, text, signal, fix, "waits", severity="warning", is_vague=True)
