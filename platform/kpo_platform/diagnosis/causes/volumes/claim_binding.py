"""Volume claims without a volume: what the claim, its events and its StorageClass tell."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from kpo_platform.diagnosis.cause import PLATFORM_TEAM, Cause, build_cause
from kpo_platform.diagnosis.causes.progress import is_young
from kpo_platform.diagnosis.facts import Facts, Lookup
from kpo_platform.diagnosis.signals import Signal, parse_event
from kpo_platform.finding import Fix, ObjectRef, Rule
from kpo_platform.pod.cluster_text import sanitize
from kpo_platform.pod.json_fields import read_object, read_text
from kpo_platform.pod.merge import Json

RULES: dict[str, Rule] = {
    "class-missing": Rule("KPO-VOL111", "The StorageClass of a volume claim exists."),
    "class-unset": Rule("KPO-VOL112", "A volume claim has a StorageClass, or the cluster has a default one."),
    "provisioning-mode": Rule("KPO-VOL113", "The storage supports the access mode of a volume claim."),
    "provisioning-failed": Rule("KPO-VOL114", "The storage creates the volume of a claim."),
    "provisioner-silent": Rule("KPO-VOL115", "The storage creates the volume of a claim within a minute."),
    "volume-none": Rule("KPO-VOL116", "A volume claim without dynamic storage finds a PersistentVolume."),
}
"""The causes of this module by name."""

_TROUBLE = ("ProvisioningFailed", "FailedBinding", "VolumeMismatch", "ClaimMisbound")
_TOLD = (*_TROUBLE, "ProvisioningSucceeded")
_NO_CLASS = re.compile(r'storageclass(?:es)?(?:\.storage\.k8s\.io)? "([^"]+)" not found', re.IGNORECASE)
_NO_DEFAULT = re.compile(r"no storage class is set")
_MODE = re.compile(
    r"access.?modes?|(MULTI|SINGLE)_NODE|Read(Write|Only)(Many|OncePod)|capability at index", re.IGNORECASE
)
_STATIC = "kubernetes.io/no-provisioner"
_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
_SELECTED_NODE = "volume.kubernetes.io/selected-node"
_NEVER = datetime.min.replace(tzinfo=UTC)
_PROVISIONING_S = 60


@dataclass(frozen=True)
class _Claim:
    """A claim without a volume, as far as it is known; `signal` is the last trouble that is told about it."""

    ref: ObjectRef
    found: Json
    is_known: bool
    is_told: bool
    signal: Signal

    @property
    def spec(self) -> Json:
        return read_object(self.found.get("spec"))

    @property
    def storage_class(self) -> str | None:
        """The name of its StorageClass; None if it is not known or the claim has none."""
        name = self.spec.get("storageClassName")
        return name if isinstance(name, str) else None

    @property
    def is_wanted(self) -> bool:
        """Whether the scheduler has chosen a node, so that the storage has to create the volume."""
        return _SELECTED_NODE in read_object(read_object(self.found.get("metadata")).get("annotations"))


def is_of_team(facts: Facts, claim: str) -> bool:
    """Whether a claim is one of the team's volumes, which bootstrap creates."""
    return facts.team is not None and any(volume.name == claim for volume in facts.team.volumes)


def check_binding(facts: Facts, lookup: Lookup, name: str, found: Json | None, signal: Signal) -> Cause | None:
    """Find why a claim that is not bound has no volume; None if it has no problem, or if that is not known.

    Args:
        facts: what is known about the pod.
        lookup: objects of the cluster.
        name: the name of the claim.
        found: the claim; None if it could not be read.
        signal: what the scheduler says; of source ``status`` if it says nothing.
    """
    ref = ObjectRef("PersistentVolumeClaim", name, facts.namespace)
    told = _find_last_event(facts, lookup, ref)
    trouble = told if told and told.reason in _TROUBLE else None
    claim = _Claim(ref, read_object(found), found is not None, trouble is not None, trouble or signal)
    message = trouble.message if trouble else ""
    if missing := _NO_CLASS.search(message):
        return _describe_class(facts, lookup, claim, missing[1])
    if trouble and trouble.reason == "ProvisioningFailed":
        return _describe_failure(facts, claim)
    if claim.spec.get("volumeName") or claim.storage_class == "":
        return _describe_static(facts, claim)
    is_unset = claim.is_known and claim.storage_class is None
    is_told = signal.source not in ("status", "spec") or (facts.is_planned and _has_no_default_class(lookup))
    if _NO_DEFAULT.search(message) or (is_unset and is_told):
        return _describe_class(facts, lookup, claim)
    if trouble:
        return _describe_static(facts, claim)
    return _check_class(facts, lookup, claim)


def _find_last_event(facts: Facts, lookup: Lookup, claim: ObjectRef) -> Signal | None:
    read = [parse_event(event) for event in lookup.list_events(claim.kind, claim.name, claim.namespace)]
    known = [each for each in facts.signals if each.about == claim]
    events = [each for each in (*read, *known) if each and each.reason in _TOLD]
    return max(events, key=lambda event: event.seen_at or _NEVER, default=None)


def _check_class(facts: Facts, lookup: Lookup, claim: _Claim) -> Cause | None:
    """Look at the StorageClass of a claim about which no event tells a problem."""
    name = claim.storage_class
    is_waiting = claim.is_wanted or claim.signal.source != "status"
    if name is None or not is_waiting:
        return None
    looked = lookup.get("StorageClass", name)
    provisioner = read_text(read_object(looked.found).get("provisioner"))
    if looked.is_absent:
        return _describe_class(facts, lookup, claim, name)
    if facts.is_planned:
        return None  # the storage may wait for the pod
    if provisioner == _STATIC:
        return _describe_static(facts, claim)
    if is_young(facts, _PROVISIONING_S):
        return None
    who = f"its provisioner {provisioner}" if provisioner else "its provisioner"
    text = f'StorageClass "{name}" has not created the volume of the claim "{claim.ref.name}": {who} does not answer'
    fix = Fix("Check that the provisioner runs, and what its log says about the claim.", who=PLATFORM_TEAM)
    return build_cause(RULES["provisioner-silent"], claim.ref, text, claim.signal, fix, "waits")


def _has_no_default_class(lookup: Lookup) -> bool:
    classes = lookup.list_objects("StorageClass")
    return classes is not None and not _list_defaults(classes)


def _describe_class(facts: Facts, lookup: Lookup, claim: _Claim, missing: str = "") -> Cause:
    """Describe a StorageClass that does not exist, or a claim that has none."""
    text = f'The volume claim "{claim.ref.name}" has no StorageClass, and the cluster has no default one'
    if missing:
        text = f'The StorageClass "{missing}" of the volume claim "{claim.ref.name}" does not exist'
    names, chosen = _list_classes(lookup)
    known = f" ({', '.join(names[:5])})" if names else ""
    fix = _advise_other_fields(facts, claim, f"a StorageClass that exists{known}", "storageClass", chosen)
    rule = RULES["class-missing" if missing else "class-unset"]
    return build_cause(rule, claim.ref, text, claim.signal, fix, "grace")


def _list_classes(lookup: Lookup) -> tuple[list[str], str]:
    """List the StorageClasses, and choose the default one or the only one."""
    classes = lookup.list_objects("StorageClass") or ()
    names = [read_text(read_object(read_object(each).get("metadata")).get("name")) for each in classes]
    if defaults := _list_defaults(classes):
        return names, defaults[0]
    return names, names[0] if len(names) == 1 else ""


def _list_defaults(classes: Iterable[Json]) -> list[str]:
    metadata = [read_object(read_object(each).get("metadata")) for each in classes]
    defaults = [each for each in metadata if read_object(each.get("annotations")).get(_DEFAULT_CLASS) == "true"]
    return [read_text(each.get("name")) for each in defaults]


def _describe_failure(facts: Facts, claim: _Claim) -> Cause:
    message = sanitize(claim.signal.message, 300).rstrip(". ")
    modes = claim.spec.get("accessModes")
    mode = ", ".join(each for each in modes if isinstance(each, str)) if isinstance(modes, list) else ""
    if _MODE.search(message) and mode != "ReadWriteOnce":
        storage = f'StorageClass "{claim.storage_class}"' if claim.storage_class else "The storage"
        text = f'{storage} does not offer the access mode {mode} of the claim "{claim.ref.name}": {message}'.replace(
            "  ", " "
        )
        fix = _advise_other_fields(facts, claim, "ReadWriteOnce (enough for pods of one node)", "accessMode", "")
        return build_cause(RULES["provisioning-mode"], claim.ref, text, claim.signal, fix, "grace")
    text = f'The volume of the claim "{claim.ref.name}" cannot be created: {message}'
    fix = Fix(
        "The provisioner tries again. If it lasts, the platform team corrects the claim or its StorageClass.",
        who=PLATFORM_TEAM,
    )
    return build_cause(RULES["provisioning-failed"], claim.ref, text, claim.signal, fix, "waits")


def _describe_static(facts: Facts, claim: _Claim) -> Cause:
    """Describe a claim for which a PersistentVolume has to exist, since no provisioner creates it."""
    wanted, name = read_text(claim.spec.get("volumeName")), claim.storage_class
    text = f'No PersistentVolume fits the volume claim "{claim.ref.name}"'
    if wanted:
        text = f'The volume claim "{claim.ref.name}" asks for the PersistentVolume "{wanted}" and does not get it'
    elif name:
        text += f', and its StorageClass "{name}" creates none'
    if claim.is_told:
        text += f": {sanitize(claim.signal.message, 300).rstrip('. ')}"
    fix = Fix(
        "Create a PersistentVolume with the size, access mode and StorageClass of the claim, or free the one it names.",
        who=PLATFORM_TEAM,
    )
    return build_cause(RULES["volume-none"], claim.ref, text, claim.signal, fix, "grace")


def _advise_other_fields(facts: Facts, claim: _Claim, wanted: str, field: str, chosen: str) -> Fix:
    """Advise to create a claim again: its StorageClass and access mode cannot be changed, but it has no data yet."""
    name, namespace = claim.ref.name, claim.ref.namespace
    if is_of_team(facts, name):
        commands = (
            f"kubectl -n {shlex.quote(namespace)} delete pvc {shlex.quote(name)}",
            f"platformctl bootstrap --team {facts.team_name}",
        )
        text = (
            f"Set {field} of the volume in teams.{facts.team_name}.volumes to {wanted}, upgrade the release, and run:"
        )
        return Fix(text, commands, who=PLATFORM_TEAM)
    text = f"Create the claim again with {wanted}"
    if not claim.is_known or (field == "storageClass" and not chosen):
        return Fix(f"{text}; it cannot be changed, and has no data yet.")
    spec: Json = {key: claim.spec[key] for key in ("accessModes", "resources", "storageClassName") if key in claim.spec}
    spec |= {"storageClassName": chosen} if field == "storageClass" else {"accessModes": ["ReadWriteOnce"]}
    command = f"{build_manifest(name, namespace, spec)} | kubectl replace --force -f -"
    return Fix(f"{text}; it has no data yet:", (command,))


def build_manifest(name: str, namespace: str, spec: Json) -> str:
    """Build a command that prints a claim."""
    metadata = {"name": name, "namespace": namespace}
    manifest = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}
    return f"echo {shlex.quote(json.dumps(manifest))}"
