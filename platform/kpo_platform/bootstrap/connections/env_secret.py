"""Connections that Airflow's pods have in their environment, out of one Secret that the chart's pods read."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from kpo_platform.bootstrap import labels
from kpo_platform.bootstrap.connections import connection, pod_env
from kpo_platform.bootstrap.connections.target_cluster import Way
from kpo_platform.bootstrap.model import Action, Holder, Live, LiveConnection, Target, Verb
from kpo_platform.contract import Contract
from kpo_platform.contract.team import ConnectionRef
from kpo_platform.kube import SECRET

RESTART = "Airflow's scheduler and triggerer read it when they start: kubectl -n {} rollout restart statefulset"


def variable(name: str) -> str:
    """The environment variable in which Airflow looks for a connection."""
    return f"{pod_env.PREFIX}{name.upper()}"


def target(contract: Contract) -> Target:
    """The Secret."""
    return Target(SECRET.kind, contract.release.namespace, contract.airflow.connections_secret)


def plan(contract: Contract, refs: tuple[ConnectionRef, ...], ways: Mapping[str, Way], live: Live) -> list[Action]:
    """What happens to the Secret, and what stands in the way of its connections.

    Args:
        contract: what the chart published.
        refs: the connections that go by the environment.
        ways: what was found for those that lead out.
        live: the live state.
    """
    if not refs:
        return []
    single = [_one(contract, ref, ways, live) for ref in refs]
    blocked = [each for each in single if each.verb is Verb.BLOCKED]
    return [*blocked, *_twice(refs, live), *_secret(contract, [each for each in single if each.pending], refs, live)]


def live_connection(ref: ConnectionRef, live: Live) -> LiveConnection | None:
    """The connection in the Secret, if there is one that can be read."""
    return connection_of((live.environment.values if live.environment else {}).get(variable(ref.id), ""))


def connection_of(text: str) -> LiveConnection | None:
    """A connection in the form that Airflow reads from its environment."""
    try:
        found = json.loads(text)
        extra = found.get("extra")
        return LiveConnection(str(found["conn_type"]), extra if isinstance(extra, dict) else json.loads(extra))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def in_use(contract: Contract, name: str, live: Live) -> tuple[bool, str]:
    """Whether Airflow's running pods have a connection as it is in the Secret, and by what that was seen.

    A process has what was there when it started, so one that did before the Secret was written has something else.

    Args:
        contract: what the chart published.
        name: the connection's id.
        live: the live state.
    """
    key, secret = variable(name), target(contract)
    holders = live.variables.get(key, ())
    if not holders:
        return (
            False,
            f"no pod of Airflow has {key} yet: give it to those that run tasks, and the triggerer, from {secret}",
        )
    if others := _pods(each for each in holders if not each.ours):
        return False, f"{key} of {', '.join(others)} is not from {secret}: take it from there"
    running = {each: each.started for each in holders if each.started}
    if not running:
        return False, f"no pod of Airflow that has {key} runs yet: {', '.join(_pods(holders))}"
    since = live.environment.written[key] if live.environment else live.at
    if old := _pods(each for each, started in running.items() if started <= since):
        restart = f"kubectl -n {secret.namespace} delete pod {' '.join(old)}"
        return False, f"written at {_shown(since)}, after the start of {', '.join(old)}: restart with: {restart}"
    return True, f"in the environment of {', '.join(_pods(running))}, from {secret}"


def _pods(holders: Iterable[Holder]) -> list[str]:
    return sorted({each.pod for each in holders})


def _shown(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _one(contract: Contract, ref: ConnectionRef, ways: Mapping[str, Way], live: Live) -> Action:
    found = live_connection(ref, live)
    return connection.plan(ref, contract.xcom_sidecar, found, ways.get(ref.id), live.at)


def _twice(refs: tuple[ConnectionRef, ...], live: Live) -> list[Action]:
    """The connections that Airflow's database has as well."""
    note = (
        "it is in Airflow's database as well, where it is never used, for the environment ({}) wins: "
        "delete it there, or set connection.via to api"
    )
    doubled = [ref for ref in refs if ref.id in live.connections]
    return [Action(Verb.BLOCKED, connection.target(ref.id), note=note.format(variable(ref.id))) for ref in doubled]


def _secret(contract: Contract, pending: list[Action], refs: tuple[ConnectionRef, ...], live: Live) -> list[Action]:
    there, where = live.environment, target(contract)
    if not pending:
        kept = [ref.id for ref in refs if live_connection(ref, live)]
        note = f"connections {', '.join(kept)}"
        return [Action(Verb.UNCHANGED, where, note=note)] if kept else []
    if there and not labels.is_ours(there.labels):
        note = f"it differs and is not ours (no label {labels.MARK}): delete it and run again"
        return [Action(Verb.BLOCKED, where, note=note)]
    values = dict(there.values) if there else {}
    values |= {variable(each.target.name): _text(each.body) for each in pending}
    restart = RESTART.format(contract.release.namespace)
    about = "; ".join(f"connection {each.target.name}: {each.note}" for each in pending)
    shown = tuple(change for each in pending for change in each.changes)
    verb = Verb.CHANGE if there and shown else Verb.CREATE
    version = there.version if there else ""
    return [Action(verb, where, shown, f"{about}; {restart}", _body(where, values), version)]


def _text(body: Mapping[str, Any]) -> str:
    content = {"conn_type": body["conn_type"], "description": body["description"], "extra": json.loads(body["extra"])}
    return json.dumps(content, sort_keys=True)


def _body(where: Target, values: Mapping[str, str]) -> dict[str, Any]:
    metadata = {"name": where.name, "namespace": where.namespace, "labels": labels.shared()}
    data = {key: base64.b64encode(text.encode()).decode() for key, text in sorted(values.items())}
    return {"apiVersion": "v1", "kind": where.kind, "metadata": metadata, "type": "Opaque", "data": data}
