"""Containers that the node cannot start, and pods that it cannot set up."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from kpo_platform.diagnosis.cause import PLATFORM_TEAM, Cause, Outlook, build_cause
from kpo_platform.diagnosis.causes.message_kind import MessageKind, find_kind
from kpo_platform.diagnosis.causes.progress import cut
from kpo_platform.diagnosis.causes.references import (
    describe_missing_key,
    describe_missing_object,
    find_environment_place,
    find_missing_objects,
)
from kpo_platform.diagnosis.causes.start import command as start_command
from kpo_platform.diagnosis.causes.start import init_containers, sandbox
from kpo_platform.diagnosis.facts import Facts, Lookup
from kpo_platform.diagnosis.fixes.amounts import patch_containers
from kpo_platform.diagnosis.fixes.sizes import build_fix
from kpo_platform.diagnosis.signals import Signal
from kpo_platform.finding import Fix, Rule
from kpo_platform.pod.cluster_text import sanitize
from kpo_platform.pod.json_fields import read_objects, read_text
from kpo_platform.pod.state import CANNOT_START

RULES: dict[str, Rule] = {
    "start-unknown": Rule("KPO-STA100", "The node can start the container."),
    "start-object": Rule("KPO-STA101", "The Secrets and ConfigMaps of the environment exist."),
    "start-key": Rule("KPO-STA102", "The Secrets and ConfigMaps of the environment have the keys that are used."),
    "start-root": Rule("KPO-STA103", "The image does not run as root if the pod must not."),
    "start-user-name": Rule("KPO-STA104", "The image names its user by a number if the pod must not run as root."),
    "start-user": Rule("KPO-STA105", "The user of the container exists in the image."),
    "start-sub-path": Rule("KPO-STA106", "The subPath of a mount can be used."),
    "start-mount": Rule("KPO-STA107", "The volumes can be mounted at their paths in the container."),
    "start-memory": Rule("KPO-STA108", "The memory limit suffices to start the container."),
    "start-profile": Rule("KPO-STA109", "The node has the seccomp or AppArmor profile of the container."),
    "start-device": Rule("KPO-STA110", "The node can give the container its devices."),
    "start-disk": Rule("KPO-STA111", "The node has room for the container."),
    "start-delay": Rule("KPO-STA112", "The node starts the container in time."),
    "start-hook": Rule("KPO-STA113", "The postStart hook of the container succeeds."),
    **start_command.RULES,
    **sandbox.RULES,
    **init_containers.RULES,
}
"""The causes of this family by name."""

_HOOK = "PostStartHookError"
_REASONS = frozenset(
    {
        *("CreateContainerConfigError", "CreateContainerError", "RunContainerError", _HOOK),
        *("PreCreateHookError", "PreStartHookError", *CANNOT_START),
    }
)
_CRASH_LOOP = "CrashLoopBackOff"
_KEY = re.compile(r"couldn't find key (\S+) in (Secret|ConfigMap) [^/\s]+/(\S+)")
_MOUNT = re.compile(r'volumeMount "([^"]+)"')
_USER = 50000
"""A user that is not root; that of the platform's templates."""


_KINDS = (
    MessageKind(
        "start-root",
        r"image will run as root|runAsUser breaks non-root policy",
        "final",
        'The image {image} of the container "{name}" runs as root, and the pod must not',
        "Set runAsUser in container_security_context, or USER in the image, to a number other than 0; an image that "
        "needs root needs podSecurity: baseline, which the platform team sets.",
    ),
    MessageKind(
        "start-user-name",
        r"image has non-numeric user \((?P<detail>[^)]*)\)|cannot verify user is non-root",
        "final",
        'The image {image} of the container "{name}" names its user {detail}, and only a number shows that it is not '
        "root",
        "Set runAsUser in container_security_context, or USER in the image, to the number of this user.",
    ),
    MessageKind(
        "start-user",
        r"unable to find (user|group) (?P<detail>[^\s:]+)|no users found|no matching entries in (passwd|group) file",
        "final",
        'The user {detail} of the container "{name}" does not exist in the image {image}',
        "Create it in the image, or set runAsUser in container_security_context to a number.",
    ),
    MessageKind(
        "start-memory",
        r"OOM-killed|memory limit too low|memory limit \d+ too low|cannot allocate memory",
        "final",
        'The memory limit of the container "{name}" is too low to start it',
        "",
    ),
    MessageKind(
        "start-sub-path",
        r"subPath|volume-subpaths",
        "grace",
        'A subPath that the container "{name}" mounts cannot be used: {detail}',
        "Correct subPath in volume_mounts: it must be a relative path in the volume; if it does not exist, the volume "
        "must be writable.",
    ),
    MessageKind(
        "start-profile",
        r"seccomp profile|apparmor|selinux",
        "final",
        'The node does not have the security profile of the container "{name}": {detail}',
        "Remove the profile from security_context and container_security_context, or install it on the nodes.",
    ),
    MessageKind(
        "start-device",
        r"nvidia-container|CDI devices?|inject .*devices?|no such device|gathering device information|device plugin",
        "grace",
        'The node cannot give the container "{name}" its devices: {detail}',
        "Check the drivers and the device plugin of the node.",
        PLATFORM_TEAM,
    ),
    MessageKind(
        "start-disk",
        r"no space left on device|disk quota exceeded",
        "waits",
        'The node has no room to start the container "{name}"',
        "Free space on the disk of the node.",
        PLATFORM_TEAM,
    ),
    MessageKind(
        "start-mount",
        r"error mounting|failed to mkdir|mkdirat|creating mount|not a shared mount|read-only file system|"
        r"not a directory|cannot find volume|mount\(|: mounting ",
        "final",
        'A mount of the container "{name}" cannot be made: {detail}',
        "Correct mountPath and subPath in volume_mounts: a directory cannot be mounted onto a file, and not into a "
        "read-only directory.",
    ),
    MessageKind(
        "start-delay",
        r"failed to sync (secret|configmap) cache|not registered|services have not yet been read|is reserved for|"
        r"DeadlineExceeded|deadline exceeded|timed? ?out|connection refused|transport is closing|try again|unavailable",
        "waits",
        'The node has not yet started the container "{name}": {detail}',
        "The node tries again. If it lasts, it is probably overloaded: ask the platform team.",
        PLATFORM_TEAM,
    ),
)
"""Texts are those of the kubelet, of containerd and CRI-O, and of runc and crun."""


def find_start_problems(facts: Facts, lookup: Lookup) -> Iterator[Cause]:
    """Find why a pod's containers do not start."""
    program = facts.program
    if (
        facts.state.phase == "Succeeded"
        or program.phase == "running"
        or (program.is_terminated and not program.exit_code)
    ):
        return  # what fails beside a program is told by another family
    yield from sandbox.find_sandbox_problems(facts)
    told: set[str] = set()
    for signal in _list_signals(facts):
        if signal.container not in told:
            told.add(signal.container)
            yield from _describe(facts, lookup, cut(signal))
    yield from start_command.find_exec_problems(facts)
    yield from init_containers.find_init_problems(facts, told)


def _list_signals(facts: Facts) -> Iterator[Signal]:
    """List what tells that a container could not be started: its state, its former end, or its events."""
    hooks = {each.container for each in facts.select(["FailedPostStartHook"])}
    for signal in facts.signals:
        container = facts.state.container(signal.container)
        if signal.source not in ("waiting", "terminated"):
            continue
        if signal.reason in _REASONS:
            yield signal
        elif signal.container in hooks and (signal.exit_code or signal.reason == _CRASH_LOOP):
            hook = next(each for each in facts.select(["FailedPostStartHook"]) if each.container == signal.container)
            yield replace(hook, source=signal.source)
        elif signal.reason == _CRASH_LOOP:
            former = facts.former_state.container(container.name)
            events = (each for each in facts.select(["Failed"]) if each.container == container.name)
            if former.reason in CANNOT_START:
                yield replace(signal, reason=former.reason, message=former.message)
            elif not former.is_terminated and (event := next(events, None)):
                yield replace(signal, message=event.message)


def _describe(facts: Facts, lookup: Lookup, signal: Signal) -> Iterator[Cause]:
    message, container = signal.message, signal.container
    if signal.reason in (_HOOK, "FailedPostStartHook"):
        yield _describe_hook(facts, signal)
    elif key := _KEY.search(message):
        place = find_environment_place(facts, container, key[2], key[3], key[1])
        yield describe_missing_key(facts, RULES["start-key"], key[2], key[3], key[1], signal, place)
    elif missing := find_missing_objects(message):
        for kind, name in missing:
            place = find_environment_place(facts, container, kind, name)
            yield describe_missing_object(facts, lookup, RULES["start-object"], kind, name, signal, place)
    elif cause := _describe_text(facts, signal):
        yield cause
    elif message or signal.source == "terminated":
        text = f'The container "{container}" cannot be started: {_shorten(message) or signal.reason}'
        outlook: Outlook = "final" if signal.source == "terminated" else "grace"
        fix = Fix("Correct the container, or ask the platform team about its node.")
        yield build_cause(RULES["start-unknown"], facts.pod_ref, text, signal, fix, outlook, is_vague=True)


def _describe_text(facts: Facts, signal: Signal) -> Cause | None:
    is_about_command = start_command.EXEC.search(signal.message) or start_command.MAKES_DIRECTORY.search(signal.message)
    if is_about_command and (cause := start_command.describe_command(facts, signal)):
        return cause
    return _describe_kind(facts, signal) or start_command.describe_command(facts, signal)


def _describe_kind(facts: Facts, signal: Signal) -> Cause | None:
    kind, match = find_kind(_KINDS, signal.message)
    if kind is None or match is None:
        return None
    named = match.groupdict().get("detail")
    image = read_text(facts.find_container(signal.container).get("image"))
    detail = f'"{sanitize(named, 100)}"' if named else _shorten(signal.message)
    if kind.name == "start-sub-path":
        detail += _name_sub_path(facts, signal)
    text = kind.text.format(name=signal.container, image=image, detail=detail).replace("  ", " ")
    fix = Fix(kind.fix, who=kind.who)
    if kind.name == "start-memory":
        fix = build_fix(facts, signal.container, "memory", "64Mi")
    elif "runAsUser" in kind.fix:
        fix = replace(fix, patch=patch_containers(facts, {signal.container: {"securityContext": {"runAsUser": _USER}}}))
    return build_cause(
        RULES[kind.name], facts.pod_ref, text, signal, fix, kind.outlook, is_vague=kind.name == "start-delay"
    )


def _name_sub_path(facts: Facts, signal: Signal) -> str:
    """Name the subPath of the mount that the kubelet names only by its volume."""
    volume = match[1] if (match := _MOUNT.search(signal.message)) else ""
    mounts = read_objects(facts.find_container(signal.container).get("volumeMounts"))
    paths = [read_text(each.get("subPath") or each.get("subPathExpr")) for each in mounts if each.get("name") == volume]
    named = next(filter(None, paths), "")
    return f' (subPath "{sanitize(named, 200)}")' if named else ""


def _describe_hook(facts: Facts, signal: Signal) -> Cause:
    text = f'The postStart hook of the container "{signal.container}" failed, so the node has ended the container'
    fix = Fix(
        "Correct or remove lifecycle.postStart in the pod's template or pod_override.",
        patch=patch_containers(facts, {signal.container: {"lifecycle": {"postStart": None}}}),
    )
    return build_cause(RULES["start-hook"], facts.pod_ref, text, signal, fix)


def _shorten(message: str) -> str:
    """Return the end of a message of a container runtime, which tells most."""
    text = sanitize(message, 10**4).removesuffix(": unknown").rstrip(". ")
    for mark in ("error during container init: ", "unable to start container process: ", "desc = "):
        text = text.rpartition(mark)[2]
    return text if len(text) <= 300 else f"… {text[-300:]}"
