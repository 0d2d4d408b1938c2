"""The claims of a team's volumes. A claim is made or grows; it never shrinks, moves or goes."""

from __future__ import annotations

from typing import Any

from kpo_platform.bootstrap import labels
from kpo_platform.bootstrap.model import Action, Live, LiveClaim, Target, Verb, changes
from kpo_platform.contract import Team, Volume
from kpo_platform.kube import VOLUME_CLAIM
from kpo_platform.pod.quantity import amount

_OF_ONE_NODE = "rancher.io/local-path"
_MODES_OF_ONE_NODE = ("ReadWriteOnce", "ReadWriteOncePod")


def target(team: Team, name: str) -> Target:
    """A claim of the team."""
    return Target(VOLUME_CLAIM.kind, team.namespace, name)


def plan(name: str, team: Team, volume: Volume, live: Live) -> Action:
    """What happens to the claim of one volume.

    Args:
        name: the team's name.
        team: the team.
        volume: the volume.
        live: the live state.
    """
    found = live.claims.get((team.namespace, volume.name))
    if found is None:
        return _create(name, team, volume, live)
    obstacle = _obstacle(volume, found, live)
    if obstacle:
        note = f"cannot change in place: {obstacle}"
        return Action(Verb.BLOCKED, target(team, volume.name), note=note)
    if not labels.is_ours(found.labels):
        note = f"{about(found)}; made by another hand"
        return Action(Verb.UNCHANGED, target(team, volume.name), note=note)
    differing = changes(
        [("size", found.size, volume.size)] * (amount(found.size) != amount(volume.size))
        + labels.changed(found.labels, labels.labels(name))
    )
    verb = Verb.CHANGE if differing else Verb.UNCHANGED
    # An apply without the class that an earlier one had would take it away, and no claim may lose its class.
    body = _body(name, team, volume, found.storage_class or volume.storage_class) if differing else {}
    return Action(verb, target(team, volume.name), differing, about(found), body, found.version)


def orphans(team: Team, live: Live) -> list[Action]:
    """The claims that bootstrap made for a team and that the contract no longer has."""
    wanted = {volume.name for volume in team.volumes}
    return [
        Action(Verb.UNCHANGED, target(team, name), note=f"{about(found)}; no longer in the contract, kept")
        for (namespace, name), found in sorted(live.claims.items())
        if namespace == team.namespace and name not in wanted and labels.is_ours(found.labels)
    ]


def _create(name: str, team: Team, volume: Volume, live: Live) -> Action:
    default = live.default_class
    if volume.storage_class is None and default is None:
        note = "the cluster has no default storage class: name one in the volume's storageClass"
        return Action(Verb.BLOCKED, target(team, volume.name), note=note)
    known = [each.name for each in live.classes]
    if volume.storage_class and volume.storage_class not in known:
        others = ", ".join(known) or "none"
        note = f"the cluster has no storage class {volume.storage_class}; it has: {others}"
        return Action(Verb.BLOCKED, target(team, volume.name), note=note)
    used = f"{default.name} (the default)" if volume.storage_class is None and default else volume.storage_class
    note = f"{volume.size}, {volume.access_mode}, class {used or 'none: it gets a volume that somebody makes for it'}"
    body = _body(name, team, volume, volume.storage_class)
    return Action(Verb.CREATE, target(team, volume.name), note=note, body=body)


def _obstacle(volume: Volume, found: LiveClaim, live: Live) -> str:
    """Why the claim that is there cannot become the one that is wanted, or nothing."""
    if volume.storage_class is not None and volume.storage_class != found.storage_class:
        classes = f"{found.storage_class or 'none'} → {volume.storage_class or 'none'}"
        return f"storage class {classes}: a claim keeps its class"
    if found.access_modes != (volume.access_mode,):
        modes = ", ".join(found.access_modes)
        return f"access mode {modes} → {volume.access_mode}: a claim keeps its access modes"
    growth = f"size {found.size} → {volume.size}"
    if amount(volume.size) < amount(found.size):
        return f"{growth}: a claim never shrinks; set the size back, or use a new volume and copy the data"
    if amount(volume.size) == amount(found.size):
        return ""
    if not labels.is_ours(found.labels):
        return f"{growth}: it is not ours (no label {labels.MARK}); grow it where it is made"
    if not any(each.expandable for each in live.classes if each.name == found.storage_class):
        return f"{growth}: storage class {found.storage_class} does not allow growth (allowVolumeExpansion)"
    if found.phase != "Bound":
        return f"{growth}: it is {found.phase} and only a bound claim grows; run again once a pod uses it"
    return ""


def about(found: LiveClaim) -> str:
    """A claim in a few words."""
    modes = ", ".join(found.access_modes)
    return f"{found.size}, {modes}, class {found.storage_class or 'none'}, {found.phase}"


def waits_for_pod(found: LiveClaim, live: Live) -> bool:
    """Whether a claim is Pending because no pod has used it yet, as its class wants it."""
    unused = found.phase == "Pending" and not found.node
    return unused and any(each.waits_for_pod for each in live.classes if each.name == found.storage_class)


def doubt(found: LiveClaim, live: Live) -> str:
    """Why the first pod may find that a claim never gets a volume, or nothing."""
    provisioners = [each.provisioner for each in live.classes if each.name == found.storage_class]
    if provisioners != [_OF_ONE_NODE] or set(found.access_modes) <= set(_MODES_OF_ONE_NODE):
        return ""
    return f"{_OF_ONE_NODE} takes only {' and '.join(_MODES_OF_ONE_NODE)} unless it has a shared file system"


def _body(name: str, team: Team, volume: Volume, storage_class: str | None) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "accessModes": [volume.access_mode],
        "resources": {"requests": {"storage": volume.size}},
    }
    if storage_class is not None:
        spec["storageClassName"] = storage_class
    return {
        "apiVersion": "v1",
        "kind": VOLUME_CLAIM.kind,
        "metadata": {"name": volume.name, "namespace": team.namespace, "labels": labels.labels(name)},
        "spec": spec,
    }
