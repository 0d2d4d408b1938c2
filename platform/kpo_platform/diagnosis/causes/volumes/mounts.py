"""Volumes that a node cannot attach or mount."""

from __future__ import annotations

import re
from collections.abc import Iterator

from kpo_platform.diagnosis.cause import PLATFORM_TEAM, Cause, build_cause
from kpo_platform.diagnosis.causes.message_kind import MessageKind, find_kind
from kpo_platform.diagnosis.causes.progress import cut, is_prepared, is_young
from kpo_platform.diagnosis.causes.references import (
    describe_missing_key,
    describe_missing_object,
    find_missing_objects,
    find_volume_object,
)
from kpo_platform.diagnosis.causes.volumes.claims import describe_deletion, describe_missing, list_claims
from kpo_platform.diagnosis.facts import Facts, Lookup
from kpo_platform.diagnosis.signals import Signal
from kpo_platform.finding import Fix, ObjectRef, Rule
from kpo_platform.pod.cluster_text import sanitize
from kpo_platform.pod.json_fields import read_object, read_objects
from kpo_platform.pod.merge import Json

RULES: dict[str, Rule] = {
    "mount-unknown": Rule("KPO-VOL100", "The node can mount the volumes of the pod."),
    "mount-object": Rule("KPO-VOL117", "The Secrets and ConfigMaps of the pod's volumes exist."),
    "mount-key": Rule("KPO-VOL118", "The Secrets and ConfigMaps of the pod's volumes have the keys that are mounted."),
    "host-path": Rule("KPO-VOL119", "The path of a hostPath volume exists on the node and has the right type."),
    "volume-attached": Rule("KPO-VOL120", "No other node has attached the volume."),
    "mount-driver": Rule("KPO-VOL121", "The node has the driver or the mount program of the volume."),
    "mount-denied": Rule("KPO-VOL122", "The storage lets the node mount the volume."),
    "mount-path": Rule("KPO-VOL123", "The storage has the volume or the path that is mounted."),
    "mount-full": Rule("KPO-VOL124", "The disk of the node or the storage is not full."),
    "mount-token": Rule("KPO-VOL125", "The pod gets a token of its service account."),
    "mount-filesystem": Rule("KPO-VOL126", "The file system of the volume is intact and known to the node."),
    "mount-silent": Rule("KPO-VOL127", "The storage of the volume answers."),
    "attach-limit": Rule("KPO-VOL128", "The node can attach one more volume."),
}
"""The causes of this module by name."""

_REASONS = ("FailedMount", "FailedAttachVolume", "FailedMapVolume")
_VOLUME = re.compile(r'for volume "([^"]+)"')
_SUMMARY = re.compile(r"unmounted volumes=\[([^\]]*)\]")
_CACHE = re.compile(r"failed to sync (secret|configmap) cache|object \S+ not registered")
_KEY = re.compile(r"references non-existent (secret|config) key: (\S+)")
_CLAIM = re.compile(r'persistentvolumeclaims? "([^"]+)" not found')
_BEING_DELETED = re.compile(r"PVC is being deleted")
_HOST_PATH = re.compile(r"hostPath type check failed[:,] (\S+) is not an? ([\w ]+?)(?:,|$)")
_PODS = re.compile(r"used by pod\(s\) (.+?)(?: and \d+ pod| in different|$)")
_CACHE_S = 60


_KINDS = (
    MessageKind(
        "volume-attached",
        r"Multi-Attach|exclusively attached|already used by (pod|\d)|ReadWriteOncePod access mode and is already",
        "waits",
        "{volume} is in use on another node or by another pod",
        "Wait until it is free, run its pods on one node, or ask the platform team for a volume with ReadWriteMany.",
    ),
    MessageKind(
        "attach-limit",
        r"attach(ment|ed)? (volume )?limit|max(imum)? (number of )?(volume|attach|data disk)|too many volumes",
        "waits",
        "The node cannot attach one more volume, so {volume} is missing",
        "Wait until other pods with volumes have ended on this node, or add a node.",
    ),
    MessageKind(
        "mount-driver",
        r"not found in the list of registered CSI drivers|helper program|unknown filesystem type|"
        r"no volume plugin matched|executable file not found",
        "waits",
        "The node has no driver or mount program for {volume}",
        "Install it on the nodes, or select nodes that have it. A new node may still start its driver.",
    ),
    MessageKind(
        "mount-token",
        r"failed to fetch token|serviceaccounts? \S+ not found|TokenRequest",
        "waits",
        "The node gets no token of the pod's service account for {volume}",
        "Check that the service account exists: helm upgrade of the release creates it.",
    ),
    MessageKind(
        "mount-full",
        r"no space left on device|disk quota exceeded",
        "waits",
        "There is no room left to mount {volume}",
        "Free space on the disk of the node or on the storage.",
    ),
    MessageKind(
        "mount-denied",
        r"access denied|permission denied|operation not permitted|PermissionDenied|Unauthenticated|unauthorized|"
        r"mount error\(13\)|AuthFailed|AccessDenied",
        "grace",
        "The storage does not let the node mount {volume}",
        "Give the nodes access to the volume or export, and the files to the user of the pod.",
    ),
    MessageKind(
        "mount-filesystem",
        r"wrong fs type|bad superblock|can't read superblock|fsck|structure needs cleaning|bad option",
        "grace",
        "The file system of {volume} is damaged, or the node does not know it",
        "Repair it, or correct fsType and the mount options of the volume.",
    ),
    MessageKind(
        "mount-silent",
        r"timed? ?out|connection refused|no route to host|network is unreachable|connection reset|DeadlineExceeded|"
        r"deadline exceeded|host is down|unavailable|failed to resolve server|name or service not known|no such host|"
        r"transport is closing|unable to connect|could not resolve",
        "waits",
        "The storage of {volume} does not answer",
        "Check that the storage runs, that its address is right and that the nodes can connect to it.",
    ),
    MessageKind(
        "mount-path",
        r"no such file or directory|does not exist|NotFound|not found|InvalidVolume",
        "grace",
        "The path or disk of {volume} does not exist",
        "Correct the volume, or create its path or disk.",
    ),
)


def find_mount_problems(facts: Facts, lookup: Lookup) -> Iterator[Cause]:
    """Find why a node cannot attach or mount the volumes of a pod, each volume's last problem."""
    failed: dict[str, Signal] = {}
    summary: Signal | None = None
    for signal in facts.select(_REASONS):
        if not signal.message or signal.about is not None or is_prepared(facts, signal):
            continue
        if named := _VOLUME.search(signal.message):
            failed.setdefault(named[1], signal)
        else:
            summary = summary or signal
    causes = [cause for name, signal in failed.items() for cause in _describe(facts, lookup, name, cut(signal))]
    yield from causes
    if summary and not causes:
        yield from _describe_summary(facts, lookup, summary)


def _describe(facts: Facts, lookup: Lookup, name: str, signal: Signal) -> Iterator[Cause]:
    volume = next((each for each in read_objects(facts.spec.get("volumes")) if each.get("name") == name), {})
    place, message = f'the volume "{name}" in volumes', signal.message
    if _CACHE.search(message) and is_young(facts, _CACHE_S):
        return
    if missing := find_missing_objects(message):
        for kind, its_name in missing:
            yield describe_missing_object(facts, lookup, RULES["mount-object"], kind, its_name, signal, place)
    elif key := _KEY.search(message):
        kind = "Secret" if key[1] == "secret" else "ConfigMap"
        object_name = find_volume_object(volume, kind, key[2])
        yield describe_missing_key(facts, RULES["mount-key"], kind, object_name, key[2], signal, place)
    elif path := _HOST_PATH.search(message):
        yield _describe_host_path(facts, volume, name, path, signal)
    else:
        yield _describe_kind(facts, lookup, name, signal)


def _describe_kind(facts: Facts, lookup: Lookup, name: str, signal: Signal) -> Cause:
    about, volume = _find_claim(facts, lookup, name)
    detail = _read_detail(signal.message)
    kind, _ = find_kind(_KINDS, signal.message)
    if kind is None:
        text = f"The node cannot mount {volume}: {detail}"
        fix = Fix("The node tries again. If it lasts, the platform team checks the volume.", who=PLATFORM_TEAM)
        return build_cause(RULES["mount-unknown"], about, text, signal, fix, "waits", is_vague=True)
    text = kind.text.format(volume=volume)
    if kind.name == "volume-attached":
        pods = _PODS.search(signal.message)
        text += f": pod {sanitize(pods[1], 200)}" if pods else ""
    else:
        text += f": {detail}"
    return build_cause(
        RULES[kind.name], about, f"{text[0].upper()}{text[1:]}", signal, Fix(kind.fix, who=PLATFORM_TEAM), kind.outlook
    )


def _find_claim(facts: Facts, lookup: Lookup, name: str) -> tuple[ObjectRef, str]:
    """Find what the pod calls a volume: an event has the name of the PersistentVolume."""
    claims = list_claims(facts)
    if any(each.get("name") == name for each in read_objects(facts.spec.get("volumes"))):
        return facts.pod_ref, f'the volume "{name}"'
    for claim in claims:
        found = read_object(lookup.get("PersistentVolumeClaim", claim, facts.namespace).found)
        if len(claims) == 1 or read_object(found.get("spec")).get("volumeName") == name:
            return ObjectRef("PersistentVolumeClaim", claim, facts.namespace), f'the volume of the claim "{claim}"'
    return facts.pod_ref, f'the volume "{name}"'


def _read_detail(message: str) -> str:
    """Read what the mount program or the driver says; before it are commands and the names of directories."""
    text = message.partition('"')[2].partition('" : ')[2] or message
    for mark in ("Output: ", "desc = "):
        text = text.rpartition(mark)[2]
    return sanitize(text, 300).rstrip(". ")


def _describe_host_path(facts: Facts, volume: Json, name: str, path: re.Match[str], signal: Signal) -> Cause:
    text = f'The path {path[1]} of the volume "{name}" is not a {path[2]} on the node, or does not exist there'
    wanted = {"directory": "DirectoryOrCreate", "file": "FileOrCreate"}.get(path[2], "")
    source = {**read_object(volume.get("hostPath")), "path": path[1], "type": wanted}
    patch = {"spec": {"volumes": [{"name": name, "hostPath": source}]}}
    create = f", or let the node create it with the type {wanted}" if wanted else ""
    fix = Fix(f"Correct the path in volumes{create}.", patch=patch)
    return build_cause(RULES["host-path"], facts.pod_ref, text, signal, fix, "grace")


def _describe_summary(facts: Facts, lookup: Lookup, signal: Signal) -> Iterator[Cause]:
    """Describe an event about all volumes of a pod; a claim may be missing if the pod names its node itself."""
    claims = list(list_claims(facts))
    named = _CLAIM.search(signal.message)
    if named and lookup.get("PersistentVolumeClaim", named[1], facts.namespace).found is None:
        yield describe_missing(facts, lookup, named[1], signal)
    elif _BEING_DELETED.search(signal.message) and len(claims) == 1:
        yield describe_deletion(facts, claims[0], signal)
    else:
        volumes = _SUMMARY.search(signal.message)
        which = f"volumes {', '.join(volumes[1].split())}" if volumes and volumes[1] else "volumes of the pod"
        text = f"The node has not mounted the {which} yet: {sanitize(signal.message, 300)}".rstrip(". ")
        fix = Fix(
            "The node tries again. If it lasts, the platform team looks at the events of the pod and of its claims.",
            who=PLATFORM_TEAM,
        )
        yield build_cause(RULES["mount-unknown"], facts.pod_ref, text, signal, fix, "waits", is_vague=True)
