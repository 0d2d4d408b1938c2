"""The Airflow connection by which tasks reach Kubernetes: in Airflow's own cluster, or in another."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from kpo_platform.bootstrap.connections.target_cluster import RECORD, UNCHECKED, Way, is_past
from kpo_platform.bootstrap.model import CONNECTION, Action, Change, LiveConnection, Target, Verb, changes
from kpo_platform.contract import XComSidecar
from kpo_platform.contract.team import ConnectionRef
from kpo_platform.pod.xcom import connection_extra

TYPE = "kubernetes"
DESCRIPTION = "The cluster that Airflow runs in. Kept by platformctl bootstrap."
DESCRIPTION_OUTSIDE = "A cluster that Airflow does not run in. Kept by platformctl bootstrap."

# The provider's hook refuses more than one way to the cluster; it also still reads the old spelling.
_WAYS = ("in_cluster", "kube_config", "kube_config_path", "config_dict")
_CONTRADICTING = {*_WAYS, *(f"extra__kubernetes__{key}" for key in _WAYS), RECORD, "cluster_context"}
_HOW = "give --target-kubeconfig (and --target-context)"


def target(name: str) -> Target:
    """The connection of this id."""
    return Target(CONNECTION, "", name)


def plan(
    ref: ConnectionRef, sidecar: XComSidecar, live: LiveConnection | None, way: Way | None, now: datetime
) -> Action:
    """What happens to a connection that is made over Airflow's API.

    Keys that others put into the extra stay, but for those that name another way to a cluster.

    Args:
        ref: the connection as the team has it.
        sidecar: the stock operator's XCom sidecar.
        live: the connection that is there, if there is one.
        way: for a cluster outside, what was found for it; nothing lets stand what is there.
        now: the time.
    """
    if ref.mode != "inCluster" and way is None:
        return _kept(ref, sidecar, live, now)
    ours = _extra(sidecar, way)
    about = shown(way.record) if way else "in cluster"
    if live is None:
        return Action(Verb.CREATE, target(ref.id), note=about, body=_body(ref.id, ours, way))
    differing = _differing(live, ours)
    kept = {key: value for key, value in live.extra.items() if key not in _CONTRADICTING}
    verb = Verb.CHANGE if differing else Verb.UNCHANGED
    body = _body(ref.id, kept | ours, way) if differing else {}
    return Action(verb, target(ref.id), differing, about, body)


def as_it_should_be(ref: ConnectionRef, sidecar: XComSidecar, live: LiveConnection, now: datetime) -> str:
    """What is wrong with a connection that is there, in a few words, or nothing."""
    ours = _extra(sidecar, None) | ({} if ref.mode == "inCluster" else {"in_cluster": "(none)"})
    fields = [("type", live.type, TYPE)]
    fields += [(f"extra.{key}", _shown(live.extra, key), _shown(ours, key)) for key in ours]
    if wrong := changes(fields):
        return f"differs in {', '.join(each.field for each in wrong)}"
    if ref.mode == "inCluster":
        return ""
    record = record_of(live)
    if not record:
        return "was not made by platformctl"
    if ref.mode == "remote" and is_past(record, "renewAfter", now):
        return f"its token ends at {record.get('expires')} and is to be renewed"
    return ""


def record_of(live: LiveConnection) -> Mapping[str, Any]:
    """Where a connection leads, as whom and until when, as bootstrap noted it; empty where it did not."""
    record = live.extra.get(RECORD)
    return record if isinstance(record, dict) else {}


def shown(record: Mapping[str, Any]) -> str:
    """A record in a few words."""
    until = f", until {record['expires']}" if "expires" in record else ""
    return f"{record.get('server')} as {record.get('user')}{until}"


def _kept(ref: ConnectionRef, sidecar: XComSidecar, live: LiveConnection | None, now: datetime) -> Action:
    if live is None:
        return Action(Verb.BLOCKED, target(ref.id), note=f"it leads to another cluster: {_HOW}, and run again")
    if wrong := as_it_should_be(ref, sidecar, live, now):
        return Action(Verb.BLOCKED, target(ref.id), note=f"{wrong}: {_HOW}, and run again")
    return Action(Verb.UNCHANGED, target(ref.id), note=shown(record_of(live)))


def _extra(sidecar: XComSidecar, way: Way | None) -> dict[str, Any]:
    common = connection_extra(sidecar)
    if way is None:
        return common
    del common["in_cluster"]
    return {**common, "kube_config": dict(way.kube_config), RECORD: dict(way.record)}


def _differing(live: LiveConnection, ours: Mapping[str, Any]) -> tuple[Change, ...]:
    fields = [("type", live.type, TYPE)]
    plain = [key for key in ours if key not in ("kube_config", RECORD)]
    fields += [(f"extra.{key}", _shown(live.extra, key), _shown(ours, key)) for key in plain]
    before, after = record_of(live), ours.get(RECORD, {})
    unchecked = UNCHECKED in (before.get("user"), after.get("user"))
    told = [(key, str(before.get(key, "(none)")), str(value)) for key, value in after.items()]
    fields += [each for each in told if each[0] != "user" or not unchecked]
    # Not shown, because they may hold credentials.
    dropped = sorted(_CONTRADICTING & live.extra.keys() - ours.keys())
    fields += [(f"extra.{key}", "(not shown)", "(none)") for key in dropped]
    if RECORD in ours and "kube_config" not in live.extra:
        fields.append(("extra.kube_config", "(none)", "(not shown)"))
    return changes(fields)


def _shown(values: Mapping[str, Any], key: str) -> str:
    value = values.get(key, "(none)")
    if not isinstance(value, str):
        return json.dumps(value)
    try:
        return json.dumps(json.loads(value), sort_keys=True)  # JSON in text differs only where its meaning does
    except ValueError:
        return value


def _body(name: str, content: Mapping[str, Any], way: Way | None) -> dict[str, Any]:
    text = json.dumps(content, sort_keys=True)
    description = DESCRIPTION_OUTSIDE if way else DESCRIPTION
    return {"connection_id": name, "conn_type": TYPE, "description": description, "extra": text}
