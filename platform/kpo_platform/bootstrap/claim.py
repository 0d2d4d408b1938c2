"""The claims of a team's volumes. A claim is made or grows; it never shrinks, moves or goes."""

from __future__ import annotations

from typing import Any

from kpo_platform.bootstrap import labels
from kpo_platform.bootstrap.actions import Action, Target, Verb, changes
from kpo_platform.bootstrap.state import Live, LiveClaim
from kpo_platform.contract import Team, Volume
from kpo_platform.kube import VOLUME_CLAIM
from kpo_platform.pod.quantity import amount


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
    body = _body(name, team, volume) if differing else {}
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
    used = volume.storage_class or f"{default.name if default else ''} (the default)"
    note = f"{volume.size}, {volume.access_mode}, class {used}"
    return Action(Verb.CREATE, target(team, volume.name), note=note, body=_body(name, team, volume))


def _obstacle(volume: Volume, found: LiveClaim, live: Live) -> str:
    """Why the claim that is there cannot become the one that is wanted, or nothing."""
    if volume.storage_class is not None and volume.storage_class != found.storage_class:
        return f"storage class {found.storage_class} → {volume.storage_class}: a claim keeps its class"
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


def _body(name: str, team: Team, volume: Volume) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "accessModes": [volume.access_mode],
        "resources": {"requests": {"storage": volume.size}},
    }
    if volume.storage_class is not None:
        spec["storageClassName"] = volume.storage_class
    return {
        "apiVersion": "v1",
        "kind": VOLUME_CLAIM.kind,
        "metadata": {"name": volume.name, "namespace": team.namespace, "labels": labels.labels(name)},
        "spec": spec,
    }
