"""The claims of a team's volumes. A claim is made or grows; it never shrinks, moves or goes."""

from __future__ import annotations

from typing import Any

from kpo_platform.bootstrap import labels
from kpo_platform.bootstrap.model import Action, LiveClaim, LiveState, ObjectRef, Verb, find_changes
from kpo_platform.contract import Team, Volume
from kpo_platform.kube import VOLUME_CLAIM
from kpo_platform.pod.quantity import parse_quantity

_OF_ONE_NODE = "rancher.io/local-path"
_MODES_OF_ONE_NODE = ("ReadWriteOnce", "ReadWriteOncePod")


def make_claim_ref(team: Team, name: str) -> ObjectRef:
    """A claim of the team."""
    return ObjectRef(VOLUME_CLAIM.kind, team.namespace, name)


def plan_claim(name: str, team: Team, volume: Volume, live: LiveState) -> Action:
    """What happens to the claim of one volume.

    Args:
        name: the team's name.
        team: the team.
        volume: the volume.
        live: the live state.
    """
    found = live.claims.get((team.namespace, volume.name))
    if found is None:
        return _plan_creation(name, team, volume, live)
    obstacle = _find_obstacle(volume, found, live)
    if obstacle:
        note = f"cannot change in place: {obstacle}"
        return Action(Verb.BLOCKED, make_claim_ref(team, volume.name), note=note)
    if not labels.is_managed(found.labels):
        note = f"{describe_claim(found)}; made by another hand"
        return Action(Verb.UNCHANGED, make_claim_ref(team, volume.name), note=note)
    differing = find_changes(
        [("size", found.size, volume.size)] * (parse_quantity(found.size) != parse_quantity(volume.size))
        + labels.list_label_changes(found.labels, labels.build_team_labels(name))
    )
    verb = Verb.CHANGE if differing else Verb.UNCHANGED
    # An apply without the class that an earlier one had would take it away, and no claim may lose its class.
    body = _build_body(name, team, volume, found.storage_class or volume.storage_class) if differing else {}
    return Action(
        verb, make_claim_ref(team, volume.name), differing, describe_claim(found), body, found.resource_version
    )


def plan_orphans(team: Team, live: LiveState) -> list[Action]:
    """The claims that bootstrap made for a team and that the contract no longer has."""
    wanted = {volume.name for volume in team.volumes}
    return [
        Action(
            Verb.UNCHANGED, make_claim_ref(team, name), note=f"{describe_claim(found)}; no longer in the contract, kept"
        )
        for (namespace, name), found in sorted(live.claims.items())
        if namespace == team.namespace and name not in wanted and labels.is_managed(found.labels)
    ]


def _plan_creation(name: str, team: Team, volume: Volume, live: LiveState) -> Action:
    default = live.default_storage_class
    if volume.storage_class is None and default is None:
        note = "the cluster has no default storage class: name one in the volume's storageClass"
        return Action(Verb.BLOCKED, make_claim_ref(team, volume.name), note=note)
    known = [each.name for each in live.storage_classes]
    if volume.storage_class and volume.storage_class not in known:
        others = ", ".join(known) or "none"
        note = f"the cluster has no storage class {volume.storage_class}; it has: {others}"
        return Action(Verb.BLOCKED, make_claim_ref(team, volume.name), note=note)
    used = f"{default.name} (the default)" if volume.storage_class is None and default else volume.storage_class
    note = f"{volume.size}, {volume.access_mode}, class {used or 'none: it gets a volume that somebody makes for it'}"
    body = _build_body(name, team, volume, volume.storage_class)
    return Action(Verb.CREATE, make_claim_ref(team, volume.name), note=note, body=body)


def _find_obstacle(volume: Volume, found: LiveClaim, live: LiveState) -> str:
    """Why the claim that is there cannot become the one that is wanted, or nothing."""
    if volume.storage_class is not None and volume.storage_class != found.storage_class:
        classes = f"{found.storage_class or 'none'} → {volume.storage_class or 'none'}"
        return f"storage class {classes}: a claim keeps its class"
    if found.access_modes != (volume.access_mode,):
        modes = ", ".join(found.access_modes)
        return f"access mode {modes} → {volume.access_mode}: a claim keeps its access modes"
    growth = f"size {found.size} → {volume.size}"
    if parse_quantity(volume.size) < parse_quantity(found.size):
        return f"{growth}: a claim never shrinks; set the size back, or use a new volume and copy the data"
    if parse_quantity(volume.size) == parse_quantity(found.size):
        return ""
    if not labels.is_managed(found.labels):
        return f"{growth}: it is not ours (no label {labels.SELECTOR}); grow it where it is made"
    if not any(each.is_expandable for each in live.storage_classes if each.name == found.storage_class):
        return f"{growth}: storage class {found.storage_class} does not allow growth (allowVolumeExpansion)"
    if found.phase != "Bound":
        return f"{growth}: it is {found.phase} and only a bound claim grows; run again once a pod uses it"
    return ""


def describe_claim(found: LiveClaim) -> str:
    """A claim in a few words."""
    modes = ", ".join(found.access_modes)
    return f"{found.size}, {modes}, class {found.storage_class or 'none'}, {found.phase}"


def is_waiting_for_pod(found: LiveClaim, live: LiveState) -> bool:
    """Whether a claim is Pending because no pod has used it yet, as its class wants it."""
    unused = found.phase == "Pending" and not found.node
    return unused and any(each.waits_for_pod for each in live.storage_classes if each.name == found.storage_class)


def find_binding_risk(found: LiveClaim, live: LiveState) -> str:
    """Why the first pod may find that a claim never gets a volume, or nothing."""
    provisioners = [each.provisioner for each in live.storage_classes if each.name == found.storage_class]
    if provisioners != [_OF_ONE_NODE] or set(found.access_modes) <= set(_MODES_OF_ONE_NODE):
        return ""
    return f"{_OF_ONE_NODE} takes only {' and '.join(_MODES_OF_ONE_NODE)} unless it has a shared file system"


def _build_body(name: str, team: Team, volume: Volume, storage_class: str | None) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "accessModes": [volume.access_mode],
        "resources": {"requests": {"storage": volume.size}},
    }
    if storage_class is not None:
        spec["storageClassName"] = storage_class
    return {
        "apiVersion": "v1",
        "kind": VOLUME_CLAIM.kind,
        "metadata": {"name": volume.name, "namespace": team.namespace, "labels": labels.build_team_labels(name)},
        "spec": spec,
    }
