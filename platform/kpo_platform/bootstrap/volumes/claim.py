"""Plan the volume claims of a team.

Bootstrap creates a claim or grows it. It never shrinks, moves or deletes one.
"""

from __future__ import annotations

from typing import Any

from kpo_platform.bootstrap import labels
from kpo_platform.bootstrap.model import Action, LiveClaim, LiveState, ObjectRef, Verb, find_changes
from kpo_platform.contract import Team, Volume
from kpo_platform.kube import VOLUME_CLAIM
from kpo_platform.pod.quantity import parse_quantity

_SINGLE_NODE_PROVISIONER = "rancher.io/local-path"
_SINGLE_NODE_MODES = ("ReadWriteOnce", "ReadWriteOncePod")
_KEEP_OR_COPY = "Set the old value again, or use a new volume and copy the data"


def make_claim_ref(team: Team, name: str) -> ObjectRef:
    """Make the reference to a claim of the team."""
    return ObjectRef(VOLUME_CLAIM.kind, team.namespace, name)


def plan_claim(name: str, team: Team, volume: Volume, live: LiveState) -> Action:
    """Plan the claim of one volume.

    Args:
        name: the team's name.
        team: the team.
        volume: the volume.
        live: the live state.
    """
    claim = live.claims.get((team.namespace, volume.name))
    target = make_claim_ref(team, volume.name)
    if claim is None:
        return _plan_creation(name, team, volume, live)
    obstacle = _find_obstacle(volume, claim, live)
    if obstacle:
        return Action(Verb.BLOCKED, target, note=f"cannot change in place: {obstacle}")
    if not labels.is_managed(claim.labels):
        return Action(Verb.UNCHANGED, target, note=f"{describe_claim(claim)}; not managed by platformctl")
    changes = find_changes(
        [("size", claim.size, volume.size)] * (parse_quantity(claim.size) != parse_quantity(volume.size))
        + labels.list_label_fields(claim.labels, labels.build_team_labels(name))
    )
    verb = Verb.CHANGE if changes else Verb.UNCHANGED
    # Server-side apply removes fields that an earlier apply set and this one leaves out. The API server rejects the
    # removal of the storage class.
    body = _build_body(name, team, volume, claim.storage_class or volume.storage_class) if changes else {}
    return Action(verb, target, changes, describe_claim(claim), body, claim.resource_version)


def plan_orphaned_claims(team: Team, live: LiveState) -> list[Action]:
    """Plan no change for the team's claims that are no longer in the contract.

    Bootstrap created these claims and keeps them.
    """
    wanted = {volume.name for volume in team.volumes}
    return [
        Action(
            Verb.UNCHANGED,
            make_claim_ref(team, name),
            note=f"{describe_claim(claim)}; no longer in the contract, kept",
        )
        for (namespace, name), claim in sorted(live.claims.items())
        if namespace == team.namespace and name not in wanted and labels.is_managed(claim.labels)
    ]


def _plan_creation(name: str, team: Team, volume: Volume, live: LiveState) -> Action:
    target, default = make_claim_ref(team, volume.name), live.default_storage_class
    if volume.storage_class is None and default is None:
        note = "the cluster has no default storage class. Set storageClass of the volume"
        return Action(Verb.BLOCKED, target, note=note)
    class_names = [storage_class.name for storage_class in live.storage_classes]
    if volume.storage_class and volume.storage_class not in class_names:
        note = (
            f"the cluster has no storage class {volume.storage_class} (it has: {', '.join(class_names) or 'none'}). "
            "Correct storageClass of the volume"
        )
        return Action(Verb.BLOCKED, target, note=note)
    class_name = f"{default.name} (the default)" if volume.storage_class is None and default else volume.storage_class
    note = f"{volume.size}, {volume.access_mode}, class {class_name or 'none: an administrator creates its volume'}"
    return Action(Verb.CREATE, target, note=note, body=_build_body(name, team, volume, volume.storage_class))


def _find_obstacle(volume: Volume, claim: LiveClaim, live: LiveState) -> str:
    """Find why the live claim cannot change to match the volume; empty if it can."""
    if volume.storage_class is not None and volume.storage_class != claim.storage_class:
        classes = f"{claim.storage_class or 'none'} → {volume.storage_class or 'none'}"
        return f"storage class {classes}: the class of a claim is immutable. {_KEEP_OR_COPY}"
    if claim.access_modes != (volume.access_mode,):
        modes = ", ".join(claim.access_modes)
        return f"access mode {modes} → {volume.access_mode}: the access modes of a claim are immutable. {_KEEP_OR_COPY}"
    size_change = f"size {claim.size} → {volume.size}"
    if parse_quantity(volume.size) < parse_quantity(claim.size):
        return f"{size_change}: a claim cannot shrink. {_KEEP_OR_COPY}"
    if parse_quantity(volume.size) == parse_quantity(claim.size):
        return ""
    if not labels.is_managed(claim.labels):
        return f"{size_change}: not managed by platformctl (no label {labels.SELECTOR}). Resize it where it is defined"
    if not any(item.is_expandable for item in live.storage_classes if item.name == claim.storage_class):
        reason = f"storage class {claim.storage_class} does not allow expansion (allowVolumeExpansion)"
        return f"{size_change}: {reason}. {_KEEP_OR_COPY}"
    if claim.phase != "Bound":
        return f"{size_change}: it is {claim.phase} and only a bound claim can grow. Run again once a pod uses it"
    return ""


def describe_claim(claim: LiveClaim) -> str:
    """Describe a claim in a few words."""
    modes = ", ".join(claim.access_modes)
    return f"{claim.size}, {modes}, class {claim.storage_class or 'none'}, {claim.phase}"


def is_waiting_for_pod(claim: LiveClaim, live: LiveState) -> bool:
    """Whether a claim is Pending because its storage class waits for the first pod that uses it."""
    is_unused = claim.phase == "Pending" and not claim.node
    return is_unused and any(item.waits_for_pod for item in live.storage_classes if item.name == claim.storage_class)


def find_binding_risk(claim: LiveClaim, live: LiveState) -> str:
    """Find why a waiting claim may never be bound; empty if no reason is known."""
    provisioners = [item.provisioner for item in live.storage_classes if item.name == claim.storage_class]
    if provisioners != [_SINGLE_NODE_PROVISIONER] or set(claim.access_modes) <= set(_SINGLE_NODE_MODES):
        return ""
    modes = " and ".join(_SINGLE_NODE_MODES)
    return f"{_SINGLE_NODE_PROVISIONER} supports only {modes} unless it has a shared file system"


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
