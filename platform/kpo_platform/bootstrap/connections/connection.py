"""The Airflow connection by which tasks reach Kubernetes: in Airflow's own cluster, or in another."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from kpo_platform.bootstrap.connections.target_cluster import RECORD_KEY, UNVERIFIED_USER, TargetAccess, is_past
from kpo_platform.bootstrap.model import (
    CONNECTION_KIND,
    Action,
    FieldChange,
    LiveConnection,
    ObjectRef,
    Verb,
    find_changes,
)
from kpo_platform.contract import Team, XComSidecar
from kpo_platform.contract.team import ConnectionRef
from kpo_platform.pod.xcom import build_connection_extra

CONNECTION_TYPE = "kubernetes"
DESCRIPTION = "The cluster that Airflow runs in. Kept by platformctl bootstrap."
TARGET_DESCRIPTION = "A cluster that Airflow does not run in. Kept by platformctl bootstrap."

# The provider's hook refuses more than one way to the cluster; it also still reads the old spelling.
_CLUSTER_KEYS = ("in_cluster", "kube_config", "kube_config_path", "config_dict")
_CONFLICTING_KEYS = {
    *_CLUSTER_KEYS,
    *(f"extra__kubernetes__{key}" for key in _CLUSTER_KEYS),
    RECORD_KEY,
    "cluster_context",
}
_FIX = "give --target-kubeconfig (and --target-context)"


def list_connections(teams: Mapping[str, Team]) -> tuple[ConnectionRef, ...]:
    """List the connections of some teams, each once. The chart rejects teams that share an id and differ otherwise."""
    return tuple(sorted({team.connection.id: team.connection for team in teams.values()}.values(), key=lambda r: r.id))


def make_connection_ref(name: str) -> ObjectRef:
    """The connection of this id."""
    return ObjectRef(CONNECTION_KIND, "", name)


def plan_connection(
    ref: ConnectionRef, sidecar: XComSidecar, live: LiveConnection | None, way: TargetAccess | None, now: datetime
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
        return _plan_without_target(ref, sidecar, live, now)
    ours = _build_extra(sidecar, way)
    about = describe_record(way.record) if way else "in cluster"
    if live is None:
        return Action(Verb.CREATE, make_connection_ref(ref.id), note=about, body=_build_body(ref.id, ours, way))
    differing = _find_changes(live, ours)
    kept = {key: value for key, value in live.extra.items() if key not in _CONFLICTING_KEYS}
    verb = Verb.CHANGE if differing else Verb.UNCHANGED
    body = _build_body(ref.id, kept | ours, way) if differing else {}
    return Action(verb, make_connection_ref(ref.id), differing, about, body)


def describe_problem(ref: ConnectionRef, sidecar: XComSidecar, live: LiveConnection, now: datetime) -> str:
    """What is wrong with a connection that is there, in a few words, or nothing."""
    ours = _build_extra(sidecar, None) | ({} if ref.mode == "inCluster" else {"in_cluster": "(none)"})
    fields = [("type", live.type, CONNECTION_TYPE)]
    fields += [(f"extra.{key}", _format_value(live.extra, key), _format_value(ours, key)) for key in ours]
    if wrong := find_changes(fields):
        return f"differs in {', '.join(each.field for each in wrong)}"
    if ref.mode == "inCluster":
        return ""
    record = read_record(live)
    if not record:
        return "was not made by platformctl"
    if ref.mode == "remote" and is_past(record, "renewAfter", now):
        return f"its token ends at {record.get('expires')} and is to be renewed"
    return ""


def read_record(live: LiveConnection) -> Mapping[str, Any]:
    """Where a connection leads, as whom and until when, as bootstrap noted it; empty where it did not."""
    record = live.extra.get(RECORD_KEY)
    return record if isinstance(record, dict) else {}


def describe_record(record: Mapping[str, Any]) -> str:
    """A record in a few words."""
    until = f", until {record['expires']}" if "expires" in record else ""
    return f"{record.get('server')} as {record.get('user')}{until}"


def _plan_without_target(
    ref: ConnectionRef, sidecar: XComSidecar, live: LiveConnection | None, now: datetime
) -> Action:
    if live is None:
        return Action(
            Verb.BLOCKED, make_connection_ref(ref.id), note=f"it leads to another cluster: {_FIX}, and run again"
        )
    if wrong := describe_problem(ref, sidecar, live, now):
        return Action(Verb.BLOCKED, make_connection_ref(ref.id), note=f"{wrong}: {_FIX}, and run again")
    return Action(Verb.UNCHANGED, make_connection_ref(ref.id), note=describe_record(read_record(live)))


def _build_extra(sidecar: XComSidecar, way: TargetAccess | None) -> dict[str, Any]:
    common = build_connection_extra(sidecar)
    if way is None:
        return common
    del common["in_cluster"]
    return {**common, "kube_config": dict(way.kube_config), RECORD_KEY: dict(way.record)}


def _find_changes(live: LiveConnection, ours: Mapping[str, Any]) -> tuple[FieldChange, ...]:
    fields = [("type", live.type, CONNECTION_TYPE)]
    plain = [key for key in ours if key not in ("kube_config", RECORD_KEY)]
    fields += [(f"extra.{key}", _format_value(live.extra, key), _format_value(ours, key)) for key in plain]
    before, after = read_record(live), ours.get(RECORD_KEY, {})
    unchecked = UNVERIFIED_USER in (before.get("user"), after.get("user"))
    told = [(key, str(before.get(key, "(none)")), str(value)) for key, value in after.items()]
    fields += [each for each in told if each[0] != "user" or not unchecked]
    # Not shown, because they may hold credentials.
    dropped = sorted(_CONFLICTING_KEYS & live.extra.keys() - ours.keys())
    fields += [(f"extra.{key}", "(not shown)", "(none)") for key in dropped]
    if RECORD_KEY in ours and "kube_config" not in live.extra:
        fields.append(("extra.kube_config", "(none)", "(not shown)"))
    return find_changes(fields)


def _format_value(values: Mapping[str, Any], key: str) -> str:
    value = values.get(key, "(none)")
    if not isinstance(value, str):
        return json.dumps(value)
    try:
        return json.dumps(json.loads(value), sort_keys=True)  # JSON in text differs only where its meaning does
    except ValueError:
        return value


def _build_body(name: str, content: Mapping[str, Any], way: TargetAccess | None) -> dict[str, Any]:
    text = json.dumps(content, sort_keys=True)
    description = TARGET_DESCRIPTION if way else DESCRIPTION
    return {"connection_id": name, "conn_type": CONNECTION_TYPE, "description": description, "extra": text}
