"""Connections that Airflow's pods have in their environment, out of one Secret that the chart's pods read."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from kpo_platform.bootstrap import labels
from kpo_platform.bootstrap.connections import connection, pod_env
from kpo_platform.bootstrap.connections.target_cluster import TargetAccess
from kpo_platform.bootstrap.model import Action, ContainerVariable, LiveConnection, LiveState, ObjectRef, Verb
from kpo_platform.contract import Contract
from kpo_platform.contract.team import ConnectionRef
from kpo_platform.kube import SECRET

RESTART = "Airflow's scheduler and triggerer read it when they start: kubectl -n {} rollout restart statefulset"


def format_variable_name(name: str) -> str:
    """The environment variable in which Airflow looks for a connection."""
    return f"{pod_env.VARIABLE_PREFIX}{name.upper()}"


def make_secret_ref(contract: Contract) -> ObjectRef:
    """The Secret."""
    return ObjectRef(SECRET.kind, contract.release.namespace, contract.airflow.connections_secret)


def plan_secret(
    contract: Contract, refs: tuple[ConnectionRef, ...], ways: Mapping[str, TargetAccess], live: LiveState
) -> list[Action]:
    """What happens to the Secret, and what stands in the way of its connections.

    Args:
        contract: what the chart published.
        refs: the connections that go by the environment.
        ways: what was found for those that lead out.
        live: the live state.
    """
    if not refs:
        return []
    single = [_plan_one(contract, ref, ways, live) for ref in refs]
    blocked = [each for each in single if each.verb is Verb.BLOCKED]
    return [
        *blocked,
        *_plan_duplicates(refs, live),
        *_plan_secret(contract, [each for each in single if each.is_pending], refs, live),
    ]


def read_connection(ref: ConnectionRef, live: LiveState) -> LiveConnection | None:
    """The connection in the Secret, if there is one that can be read."""
    return parse_connection(
        (live.connections_secret.values if live.connections_secret else {}).get(format_variable_name(ref.id), "")
    )


def parse_connection(text: str) -> LiveConnection | None:
    """A connection in the form that Airflow reads from its environment."""
    try:
        found = json.loads(text)
        extra = found.get("extra")
        return LiveConnection(str(found["conn_type"]), extra if isinstance(extra, dict) else json.loads(extra))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def check_usage(contract: Contract, name: str, live: LiveState) -> tuple[bool, str]:
    """Whether Airflow's running pods have a connection as it is in the Secret, and by what that was seen.

    A process has what was there when it started, so one that did before the Secret was written has something else.

    Args:
        contract: what the chart published.
        name: the connection's id.
        live: the live state.
    """
    key, secret = format_variable_name(name), make_secret_ref(contract)
    holders = live.connection_variables.get(key, ())
    if not holders:
        return (
            False,
            f"no pod of Airflow has {key} yet: give it to those that run tasks, and the triggerer, from {secret}",
        )
    if others := _list_pods(each for each in holders if not each.is_managed):
        return False, f"{key} of {', '.join(others)} is not from {secret}: take it from there"
    running = {each: each.started_at for each in holders if each.started_at}
    if not running:
        return False, f"no pod of Airflow that has {key} runs yet: {', '.join(_list_pods(holders))}"
    since = live.connections_secret.written_at[key] if live.connections_secret else live.read_at
    if old := _list_pods(each for each, started_at in running.items() if started_at <= since):
        restart = f"kubectl -n {secret.namespace} delete pod {' '.join(old)}"
        return False, f"written at {_format_time(since)}, after the start of {', '.join(old)}: restart with: {restart}"
    return True, f"in the environment of {', '.join(_list_pods(running))}, from {secret}"


def _list_pods(holders: Iterable[ContainerVariable]) -> list[str]:
    return sorted({each.pod for each in holders})


def _format_time(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _plan_one(contract: Contract, ref: ConnectionRef, ways: Mapping[str, TargetAccess], live: LiveState) -> Action:
    found = read_connection(ref, live)
    return connection.plan_connection(ref, contract.xcom_sidecar, found, ways.get(ref.id), live.read_at)


def _plan_duplicates(refs: tuple[ConnectionRef, ...], live: LiveState) -> list[Action]:
    """The connections that Airflow's database has as well."""
    note = (
        "it is in Airflow's database as well, where it is never used, for the environment ({}) wins: "
        "delete it there, or set connection.via to api"
    )
    doubled = [ref for ref in refs if ref.id in live.connections]
    return [
        Action(Verb.BLOCKED, connection.make_connection_ref(ref.id), note=note.format(format_variable_name(ref.id)))
        for ref in doubled
    ]


def _plan_secret(
    contract: Contract, pending: list[Action], refs: tuple[ConnectionRef, ...], live: LiveState
) -> list[Action]:
    there, where = live.connections_secret, make_secret_ref(contract)
    if not pending:
        kept = [ref.id for ref in refs if read_connection(ref, live)]
        note = f"connections {', '.join(kept)}"
        return [Action(Verb.UNCHANGED, where, note=note)] if kept else []
    if there and not labels.is_managed(there.labels):
        note = f"it differs and is not ours (no label {labels.SELECTOR}): delete it and run again"
        return [Action(Verb.BLOCKED, where, note=note)]
    values = dict(there.values) if there else {}
    values |= {format_variable_name(each.target.name): _serialize(each.body) for each in pending}
    restart = RESTART.format(contract.release.namespace)
    about = "; ".join(f"connection {each.target.name}: {each.note}" for each in pending)
    shown = tuple(change for each in pending for change in each.changes)
    verb = Verb.CHANGE if there and shown else Verb.CREATE
    version = there.resource_version if there else ""
    return [Action(verb, where, shown, f"{about}; {restart}", _build_body(where, values), version)]


def _serialize(body: Mapping[str, Any]) -> str:
    content = {"conn_type": body["conn_type"], "description": body["description"], "extra": json.loads(body["extra"])}
    return json.dumps(content, sort_keys=True)


def _build_body(where: ObjectRef, values: Mapping[str, str]) -> dict[str, Any]:
    metadata = {"name": where.name, "namespace": where.namespace, "labels": labels.build_common_labels()}
    data = {key: base64.b64encode(text.encode()).decode() for key, text in sorted(values.items())}
    return {"apiVersion": "v1", "kind": where.kind, "metadata": metadata, "type": "Opaque", "data": data}
