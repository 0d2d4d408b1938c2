"""Volume claims that keep a pod from getting a node."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches

from kpo_platform.diagnosis.cause import PLATFORM_TEAM, Cause, Outlook, build_cause
from kpo_platform.diagnosis.causes.progress import is_young
from kpo_platform.diagnosis.causes.volumes.claim_binding import build_manifest, check_binding, is_of_team
from kpo_platform.diagnosis.facts import Facts, Lookup
from kpo_platform.diagnosis.signals import Signal
from kpo_platform.finding import Fix, ObjectRef, Rule
from kpo_platform.pod.cluster_text import sanitize
from kpo_platform.pod.json_fields import read_object, read_objects, read_text
from kpo_platform.pod.merge import Json

RULES: dict[str, Rule] = {
    "claim-missing": Rule("KPO-VOL101", "The volume claims of the pod exist."),
    "claim-deleted": Rule("KPO-VOL102", "The volume claims of the pod are not being deleted."),
    "claim-lost": Rule("KPO-VOL103", "The volumes of the pod's claims exist."),
    "claim-unbound": Rule("KPO-VOL104", "The volume claims of the pod have volumes."),
    "claim-ephemeral": Rule("KPO-VOL105", "Kubernetes can create the claims of the pod's ephemeral volumes."),
    "volume-node": Rule("KPO-VOL106", "The volume can be used on a node on which the pod can run."),
    "volume-in-use": Rule("KPO-VOL107", "No other pod or node has the volume for itself."),
    "volume-limit": Rule("KPO-VOL108", "The node can attach one more volume."),
    "volume-space": Rule("KPO-VOL109", "The storage of the node has room for the volume."),
    "volume-driver": Rule("KPO-VOL110", "The storage driver of the volume runs on the node."),
}
"""The causes of this module by name."""

_SCHEDULING = ("Unschedulable", "SchedulerError", "FailedScheduling")
_CLAIM = re.compile(
    r'persistentvolumeclaims? "([^"]+)" (?:(not found)|(is being deleted)|bound to non-existent persistentvolume '
    r'"(.*?)")'
)
_EPHEMERAL = re.compile(r'waiting for ephemeral volume controller to create the persistentvolumeclaim "([^"]+)"')
_UNBOUND = re.compile(
    r"unbound immediate PersistentVolumeClaims|available persistent volumes to bind|non-existent pv|"
    r"provisioning failed for PVC|binding volumes:|failed to check (provisioning pvc|binding)"
)
_FREE_NODES = "Use another volume, or remove what keeps the pod from these nodes: node_selector, affinity or its size."
# Without conflicts with another request ("cannot be fulfilled"), after which the scheduler tries again at once.
_ABOUT_VOLUMES = re.compile(r"(?is)^(?!.*cannot be fulfilled).*(persistentvolume|VolumeBinding|VolumeZone|\bpvc?s?\b)")
_SETTLED_S, _EPHEMERAL_S = 10, 30
_SIMILAR = 0.8


@dataclass(frozen=True)
class _Place:
    """A reason why no node fits a volume: its name in `RULES`, the texts that show it, the sentence and the fix."""

    name: str
    pattern: str
    text: str
    fix: str
    who: str = PLATFORM_TEAM


_PLACES = (
    _Place(
        "volume-in-use",
        r"ReadWriteOncePod access mode already in-use",
        "{volume} may only be used by one pod at a time (ReadWriteOncePod), and another pod uses it",
        "Wait until that pod has ended, or use a claim with the access mode ReadWriteOnce.",
        "",
    ),
    _Place(
        "volume-in-use",
        r"had no available disk",
        "The disk of {volume} is in use by another pod",
        "Wait until that pod has ended, or use a volume that several pods may use.",
        "",
    ),
    _Place(
        "volume-limit",
        r"exceed max volume count",
        "The nodes cannot attach more volumes, so there is no place for {volume}",
        "The pod waits until other pods with volumes have ended. If it lasts, the platform team adds a node.",
    ),
    _Place(
        "volume-space",
        r"did not have enough free storage",
        "The storage of the nodes has no room for {volume}",
        "Use a smaller claim, or ask the platform team for more space on the storage.",
    ),
    _Place(
        "volume-driver",
        r"CSI driver is not installed|driver is not installed on the node",
        "The storage driver of {volume} runs on none of the nodes that fit",
        "Install it on the nodes, or wait until it runs on a new node.",
    ),
)
_NODE_CONFLICT = re.compile(
    r"volume node affinity conflict|PersistentVolume's node affinity|no available volume zone|"
    r"node affinity doesn't match"
)


def find_claim_problems(facts: Facts, lookup: Lookup) -> Iterator[Cause]:
    """Find which volume keeps a pod from getting a node."""
    signal = next(iter(facts.select(_SCHEDULING)), None)
    node = read_text(read_object(read_object(facts.pod).get("status")).get("nominatedNodeName"))
    silent = Signal("status", "Pending", f"nominatedNodeName: {node}" if node else "")
    if signal is None:
        # While a provisioner works, and even if it refuses, the pod has neither a condition nor an event.
        if facts.state.phase == "Pending" and not facts.rejection and (node or not is_young(facts, _SETTLED_S)):
            yield from _check_claims(facts, lookup, silent)
    elif named := _CLAIM.search(signal.message):
        # What the scheduler has said stays until the pod has a node, also after the claim was created.
        is_old = named[2] and (node or lookup.get("PersistentVolumeClaim", named[1], facts.namespace).found)
        yield from _check_claims(facts, lookup, silent) if is_old else [_describe_named(facts, lookup, named, signal)]
    elif named := _EPHEMERAL.search(signal.message):
        yield from _describe_ephemeral(facts, named[1], signal)
    elif _UNBOUND.search(signal.message):
        yield from _check_claims(facts, lookup, signal)
    else:
        yield from _find_places(facts, lookup, signal)


def _describe_named(facts: Facts, lookup: Lookup, named: re.Match[str], signal: Signal) -> Cause:
    name, is_missing, is_deleted, volume = named.groups()
    if is_missing:
        return describe_missing(facts, lookup, name, signal)
    return describe_deletion(facts, name, signal) if is_deleted else _describe_loss(facts, name, volume, signal)


def list_claims(facts: Facts) -> dict[str, Json]:
    """List the volumes of a pod that are claims, by the name of the claim."""
    found = {}
    for volume in read_objects(facts.spec.get("volumes")):
        name = read_text(read_object(volume.get("persistentVolumeClaim")).get("claimName"))
        if isinstance(volume.get("ephemeral"), dict):
            name = f"{facts.pod_ref.name}-{read_text(volume.get('name'))}"
        if name:
            found[name] = volume
    return found


def describe_missing(facts: Facts, lookup: Lookup, name: str, signal: Signal) -> Cause:
    """Describe a claim that does not exist; bootstrap creates those of the team."""
    claim = ObjectRef("PersistentVolumeClaim", name, facts.namespace)
    text = f'The volume claim "{name}" does not exist in {facts.namespace}'
    if is_of_team(facts, name):
        commands = (f"platformctl bootstrap --team {facts.team_name}",)
        fix = Fix(
            f"It is a volume of the team {facts.team_name}; the platform team creates it:", commands, who=PLATFORM_TEAM
        )
    else:
        fix = _advise_other_claim(facts, lookup, name)
    return build_cause(RULES["claim-missing"], claim, text, signal, fix, "grace")


def describe_deletion(facts: Facts, name: str, signal: Signal) -> Cause:
    """Describe a claim that is being deleted."""
    claim = ObjectRef("PersistentVolumeClaim", name, facts.namespace)
    text = f'The volume claim "{name}" in {facts.namespace} is being deleted'
    create = f"run platformctl bootstrap --team {facts.team_name}" if is_of_team(facts, name) else "create it again"
    fix = Fix(f"Wait until it and the pods that still use it are gone, then {create}; or use another claim in volumes.")
    return build_cause(RULES["claim-deleted"], claim, text, signal, fix, "grace")


def _advise_other_claim(facts: Facts, lookup: Lookup, name: str) -> Fix:
    existing = lookup.list_objects("PersistentVolumeClaim", facts.namespace)
    names = [read_text(read_object(read_object(each).get("metadata")).get("name")) for each in existing or ()]
    volume = read_text(list_claims(facts).get(name, {}).get("name"))
    similar = get_close_matches(name, names, 1, _SIMILAR)
    if similar:
        source = {"persistentVolumeClaim": {"claimName": similar[0]}}
        patch = {"spec": {"volumes": [{"name": volume, **source}]}} if volume else None
        return Fix(f'Set claimName in volumes to "{similar[0]}", which exists, or create the claim.', patch=patch)
    known = f" to one that exists ({', '.join(names[:5])})" if any(names) else ""
    text = f"Correct claimName in volumes{known}, or create the claim, for example with 1Gi:"
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    return Fix(text, (f"{build_manifest(name, facts.namespace, spec)} | kubectl create -f -",))


def _describe_loss(facts: Facts, name: str, volume: str, signal: Signal) -> Cause:
    claim = ObjectRef("PersistentVolumeClaim", name, facts.namespace)
    named = f'The volume "{volume}"' if volume else "The volume"
    text = f'{named} of the claim "{name}" no longer exists, and with it its data'
    fix = Fix("Restore the PersistentVolume, or delete the claim and create it again, empty.", who=PLATFORM_TEAM)
    return build_cause(RULES["claim-lost"], claim, text, signal, fix, "grace")


def _describe_ephemeral(facts: Facts, name: str, signal: Signal) -> Iterator[Cause]:
    """Describe the claim of an ephemeral volume that Kubernetes has not created; it takes about a second."""
    refused = next((each for each in facts.select(["FailedBinding"]) if each.about is None), None)
    if refused is None and is_young(facts, _EPHEMERAL_S):
        return
    text = f'Kubernetes has not created the claim "{name}" of an ephemeral volume of the pod'
    outlook: Outlook = "waits"
    if refused:
        text, outlook = f"{text}: {sanitize(refused.message, 300)}".rstrip(". "), "grace"
    fix = Fix(
        "Correct volumeClaimTemplate in volumes, or ask the platform team for more storage in the quota.",
        who=PLATFORM_TEAM,
    )
    yield build_cause(RULES["claim-ephemeral"], facts.pod_ref, text, refused or signal, fix, outlook)


def _check_claims(facts: Facts, lookup: Lookup, signal: Signal) -> Iterator[Cause]:
    """Look at each claim of the pod: which of them has no volume, and why."""
    claims, unknown = list_claims(facts), False
    for name, volume in claims.items():
        looked = lookup.get("PersistentVolumeClaim", name, facts.namespace)
        if looked.is_absent and "ephemeral" in volume:
            continue
        cause = check_claim(facts, lookup, name, signal)
        unknown = unknown or (cause is None and not looked.is_known)
        yield from [cause] if cause else []
    if signal.source != "status" and (unknown or not claims):
        yield _describe_unknown(facts, list(claims), signal)


def check_claim(facts: Facts, lookup: Lookup, name: str, signal: Signal) -> Cause | None:
    """Find why a claim cannot be used, or has no volume; None if it has no problem, or if that is not known."""
    looked = lookup.get("PersistentVolumeClaim", name, facts.namespace)
    metadata = read_object(read_object(looked.found).get("metadata"))
    phase = read_text(read_object(read_object(looked.found).get("status")).get("phase"))
    if looked.is_absent:
        return describe_missing(facts, lookup, name, signal)
    if phase == "Lost":
        volume = read_text(read_object(read_object(looked.found).get("spec")).get("volumeName"))
        return _describe_loss(facts, name, volume, signal)
    if metadata.get("deletionTimestamp"):
        return describe_deletion(facts, name, signal)
    return None if phase == "Bound" else check_binding(facts, lookup, name, looked.found, signal)


def _describe_unknown(facts: Facts, names: list[str], signal: Signal) -> Cause:
    text = f"There is no volume yet for {f'the claim {_quote_names(names)}' if names else 'a claim of the pod'}"
    query = f"describe pvc {shlex.quote(names[0])}" if names else "get pvc"
    fix = Fix("Look at the claim and its events:", (f"kubectl -n {shlex.quote(facts.namespace)} {query}",))
    return build_cause(RULES["claim-unbound"], facts.pod_ref, text, signal, fix, "waits", is_vague=True)


def _quote_names(names: list[str]) -> str:
    return " or ".join(f'"{name}"' for name in names)


def _find_places(facts: Facts, lookup: Lookup, signal: Signal) -> Iterator[Cause]:
    if _NODE_CONFLICT.search(signal.message):
        yield _describe_node_conflict(facts, lookup, signal)
    names = list(list_claims(facts))
    volume = f"the volume of the claim {_quote_names(names)}" if names else "a volume of the pod"
    about = ObjectRef("PersistentVolumeClaim", names[0], facts.namespace) if len(names) == 1 else facts.pod_ref
    places = [place for place in _PLACES if re.search(place.pattern, signal.message)]
    for place in places:
        text = place.text.format(volume=volume)
        fix = Fix(place.fix, who=place.who)
        yield build_cause(RULES[place.name], about, f"{text[0].upper()}{text[1:]}", signal, fix, "waits")
    if not places and not _NODE_CONFLICT.search(signal.message) and _ABOUT_VOLUMES.search(signal.message):
        text = f"No node fits {volume}: {sanitize(signal.message, 300)}".rstrip(". ")
        fix = Fix("Look at the claims of the pod and their events (kubectl describe pvc).", who=PLATFORM_TEAM)
        yield build_cause(RULES["claim-unbound"], facts.pod_ref, text, signal, fix, "waits", is_vague=True)


def _describe_node_conflict(facts: Facts, lookup: Lookup, signal: Signal) -> Cause:
    """Describe a volume that can only be used on some nodes, such as a local disk or a disk of another zone."""
    for name in list_claims(facts):
        spec = read_object(read_object(lookup.get("PersistentVolumeClaim", name, facts.namespace).found).get("spec"))
        volume = read_text(spec.get("volumeName"))
        places = _read_places(lookup.get("PersistentVolume", volume).found) if volume else {}
        if not places:
            continue
        claim = ObjectRef("PersistentVolumeClaim", name, facts.namespace)
        where = ", ".join(f"{key}={' or '.join(values)}" for key, values in places.items())
        text = f'The volume of the claim "{name}" can only be used on nodes with {where}'
        selected = read_object(facts.spec.get("nodeSelector"))
        wrong = next((key for key, values in places.items() if selected.get(key, values[0]) not in values), "")
        if wrong:
            text += f", but the pod selects nodes with {wrong}={selected[wrong]}"
            patch = {"spec": {"nodeSelector": {wrong: places[wrong][0]}}}
            fix = Fix(f"Correct {wrong} in node_selector, or use another volume.", patch=patch)
            return build_cause(RULES["volume-node"], claim, text, signal, fix)
        fix = Fix(_FREE_NODES)
        return build_cause(RULES["volume-node"], claim, f"{text}, and the pod fits none", signal, fix, "waits")
    names = list(list_claims(facts))
    volume = f"The volume of the claim {_quote_names(names)}" if names else "A volume of the pod"
    text = f"{volume} can only be used on certain nodes, such as those of its zone, and the pod fits none of them"
    fix = Fix(_FREE_NODES)
    return build_cause(RULES["volume-node"], facts.pod_ref, text, signal, fix, "waits")


def _read_places(volume: Json | None) -> dict[str, list[str]]:
    """Read the labels of the nodes on which a volume can be used; empty if they are not known or not a simple list."""
    affinity = read_object(read_object(read_object(volume).get("spec")).get("nodeAffinity"))
    terms = read_objects(read_object(affinity.get("required")).get("nodeSelectorTerms"))
    expressions = read_objects(terms[0].get("matchExpressions")) if len(terms) == 1 else []
    found = {}
    for each in expressions:
        values = each.get("values")
        texts = [value for value in values if isinstance(value, str)] if isinstance(values, list) else []
        if each.get("operator") == "In" and texts:
            found[read_text(each.get("key"))] = texts
    return found
