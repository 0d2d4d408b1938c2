"""Plan the Airflow connections to Airflow's own cluster and to other clusters."""

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
DESCRIPTION = "The cluster that Airflow runs in. Managed by platformctl bootstrap."
TARGET_DESCRIPTION = "A cluster that Airflow does not run in. Managed by platformctl bootstrap."

# The provider's hook rejects a connection with more than one of these keys. It also reads them with the old prefix.
_CLUSTER_KEYS = ("in_cluster", "kube_config", "kube_config_path", "config_dict")
_OLD_CLUSTER_KEYS = tuple(f"extra__kubernetes__{key}" for key in _CLUSTER_KEYS)
_CONFLICTING_KEYS = {*_CLUSTER_KEYS, *_OLD_CLUSTER_KEYS, RECORD_KEY, "cluster_context"}
_TARGET_OPTIONS = "with --target-kubeconfig (and --target-context)"
_FIX = f"Run again {_TARGET_OPTIONS}"


def list_connections(teams: Mapping[str, Team]) -> tuple[ConnectionRef, ...]:
    """List the connections of some teams without duplicates.

    The chart checks that teams that share a connection have equal settings for it.
    """
    refs = {team.connection.id: team.connection for team in teams.values()}
    return tuple(ref for _, ref in sorted(refs.items()))


def make_connection_ref(connection_id: str) -> ObjectRef:
    """Make the reference to the connection with this id."""
    return ObjectRef(CONNECTION_KIND, "", connection_id)


def plan_connection(
    ref: ConnectionRef,
    sidecar: XComSidecar,
    live: LiveConnection | None,
    access: TargetAccess | None,
    now: datetime,
) -> Action:
    """Plan a connection.

    Other keys of the live extra are kept, except those that select a cluster in another way.

    Args:
        ref: the team's connection.
        sidecar: the stock operator's XCom sidecar.
        live: the live connection, if there is one.
        access: the access to another cluster; None in mode ``inCluster``, or to keep a live connection unchanged.
        now: the current time.
    """
    target = make_connection_ref(ref.id)
    if ref.mode != "inCluster" and access is None:
        return _plan_without_access(ref, sidecar, live, now)
    extra = _build_extra(sidecar, access)
    note = describe_record(access.record) if access else "in cluster"
    if live is None:
        return Action(Verb.CREATE, target, note=note, body=_build_body(ref.id, extra, access))
    changes = _find_changes(live, extra)
    kept = {key: value for key, value in live.extra.items() if key not in _CONFLICTING_KEYS}
    verb = Verb.CHANGE if changes else Verb.UNCHANGED
    body = _build_body(ref.id, kept | extra, access) if changes else {}
    return Action(verb, target, changes, note, body)


def find_problem(ref: ConnectionRef, sidecar: XComSidecar, live: LiveConnection, now: datetime) -> str:
    """Find the problem of a live connection, such as a difference; empty if none."""
    extra = _build_extra(sidecar, None) | ({} if ref.mode == "inCluster" else {"in_cluster": "(none)"})
    fields = [("type", live.type, CONNECTION_TYPE)]
    fields += [(f"extra.{key}", _format_value(live.extra, key), _format_value(extra, key)) for key in extra]
    if changes := find_changes(fields):
        return f"differs from the contract in {', '.join(change.field for change in changes)}"
    if ref.mode == "inCluster":
        return ""
    record = read_record(live)
    if not record:
        return "not created by platformctl"
    if ref.mode == "remote" and is_past(record, "renewAfter", now):
        return f"its token expires at {record.get('expires')} and is due for renewal"
    return ""


def find_fix(ref: ConnectionRef) -> str:
    """Find the command that solves the problem of a live connection."""
    return "Run bootstrap again" if ref.mode == "inCluster" else f"Run bootstrap again {_TARGET_OPTIONS}"


def read_record(live: LiveConnection) -> Mapping[str, Any]:
    """Read the record of server, user and expiry in a connection; empty if none."""
    record = live.extra.get(RECORD_KEY)
    return record if isinstance(record, dict) else {}


def describe_record(record: Mapping[str, Any]) -> str:
    """Describe a record in a few words."""
    until = f", until {record['expires']}" if "expires" in record else ""
    return f"{record.get('server')} as {record.get('user')}{until}"


def _plan_without_access(
    ref: ConnectionRef, sidecar: XComSidecar, live: LiveConnection | None, now: datetime
) -> Action:
    target = make_connection_ref(ref.id)
    if live is None:
        return Action(Verb.BLOCKED, target, note=f"it points to another cluster. {_FIX}")
    if problem := find_problem(ref, sidecar, live, now):
        return Action(Verb.BLOCKED, target, note=f"{problem}. {_FIX}")
    return Action(Verb.UNCHANGED, target, note=describe_record(read_record(live)))


def _build_extra(sidecar: XComSidecar, access: TargetAccess | None) -> dict[str, Any]:
    extra = build_connection_extra(sidecar)
    if access is None:
        return extra
    del extra["in_cluster"]
    return {**extra, "kube_config": dict(access.kube_config), RECORD_KEY: dict(access.record)}


def _find_changes(live: LiveConnection, extra: Mapping[str, Any]) -> tuple[FieldChange, ...]:
    fields = [("type", live.type, CONNECTION_TYPE)]
    plain_keys = [key for key in extra if key not in ("kube_config", RECORD_KEY)]
    fields += [(f"extra.{key}", _format_value(live.extra, key), _format_value(extra, key)) for key in plain_keys]
    fields += _list_record_fields(read_record(live), extra.get(RECORD_KEY, {}))
    # The values of removed keys are not printed, because they may hold credentials.
    removed_keys = sorted(_CONFLICTING_KEYS & live.extra.keys() - extra.keys())
    fields += [(f"extra.{key}", "(not shown)", "(none)") for key in removed_keys]
    if RECORD_KEY in extra and "kube_config" not in live.extra:
        fields.append(("extra.kube_config", "(none)", "(not shown)"))
    return find_changes(fields)


def _list_record_fields(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """List field name, old value and new value of two records.

    An unverified user is not compared.
    """
    is_unverified = UNVERIFIED_USER in (old.get("user"), new.get("user"))
    keys = [key for key in new if key != "user" or not is_unverified]
    return [(key, str(old.get(key, "(none)")), str(new[key])) for key in keys]


def _format_value(values: Mapping[str, Any], key: str) -> str:
    value = values.get(key, "(none)")
    if not isinstance(value, str):
        return json.dumps(value)
    try:
        return json.dumps(json.loads(value), sort_keys=True)  # JSON in a string is compared by content, not by text
    except ValueError:
        return value


def _build_body(connection_id: str, extra: Mapping[str, Any], access: TargetAccess | None) -> dict[str, Any]:
    description = TARGET_DESCRIPTION if access else DESCRIPTION
    return {
        "connection_id": connection_id,
        "conn_type": CONNECTION_TYPE,
        "description": description,
        "extra": json.dumps(extra, sort_keys=True),
    }
