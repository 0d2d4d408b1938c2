"""Plan the Secret from which Airflow's pods get connections as environment variables."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from kpo_platform.bootstrap import labels
from kpo_platform.bootstrap.connections import connection, pod_env
from kpo_platform.bootstrap.connections.target_cluster import TargetAccess
from kpo_platform.bootstrap.model import (
    Action,
    ContainerVariable,
    LiveConnection,
    LiveConnectionsSecret,
    LiveState,
    ObjectRef,
    Verb,
)
from kpo_platform.contract import Contract
from kpo_platform.contract.team import ConnectionRef
from kpo_platform.kube import SECRET

RESTART = (
    "Airflow's scheduler and triggerer read the Secret at startup. "
    "Restart them: kubectl -n {} rollout restart statefulset"
)
"""The instruction after a change of the Secret, to format with the release's namespace."""


def format_variable_name(connection_id: str) -> str:
    """Format the name of the environment variable from which Airflow reads a connection."""
    return f"{pod_env.VARIABLE_PREFIX}{connection_id.upper()}"


def make_secret_ref(contract: Contract) -> ObjectRef:
    """Make the reference to the Secret."""
    return ObjectRef(SECRET.kind, contract.release.namespace, contract.airflow.connections_secret)


def plan_secret(
    contract: Contract,
    refs: tuple[ConnectionRef, ...],
    target_access: Mapping[str, TargetAccess],
    live: LiveState,
) -> list[Action]:
    """Plan the Secret, and the connections that are blocked.

    Args:
        contract: the contract that the chart published.
        refs: the connections that are passed as environment variables.
        target_access: by connection id, the access for connections to another cluster.
        live: the live state.
    """
    if not refs:
        return []
    actions = [_plan_connection(contract, ref, target_access.get(ref.id), live) for ref in refs]
    blocked = [action for action in actions if action.verb is Verb.BLOCKED]
    pending = [action for action in actions if action.is_pending]
    return [*blocked, *_block_duplicates(refs, live), *_plan_write(contract, pending, refs, live)]


def read_connection(ref: ConnectionRef, live: LiveState) -> LiveConnection | None:
    """Read a connection from the Secret; None if it is missing or invalid."""
    values = live.connections_secret.values if live.connections_secret else {}
    return parse_connection(values.get(format_variable_name(ref.id), ""))


def parse_connection(text: str) -> LiveConnection | None:
    """Parse a connection in the JSON form of Airflow's environment variables; None if invalid."""
    try:
        content = json.loads(text)
        extra = content.get("extra")
        return LiveConnection(str(content["conn_type"]), extra if isinstance(extra, dict) else json.loads(extra))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def check_usage(contract: Contract, connection_id: str, live: LiveState) -> tuple[bool, str]:
    """Check whether Airflow's running pods have the Secret's value of a connection.

    A process reads its environment at startup. So a pod that started before the Secret was written has an old value.

    Args:
        contract: the contract that the chart published.
        connection_id: the connection's id.
        live: the live state.

    Returns:
        Whether all of them have it, and a description for the user.
    """
    name, secret = format_variable_name(connection_id), make_secret_ref(contract)
    variables = live.connection_variables.get(name, ())
    if not variables:
        fix = f"Set it from {secret} in the pods that run tasks and in the triggerer"
        return False, f"no Airflow pod has {name} yet. {fix}"
    if other_pods := _list_pods(variable for variable in variables if not variable.is_managed):
        return False, f"{name} of {', '.join(other_pods)} does not come from {secret}. Set it from that Secret"
    running = {variable: variable.started_at for variable in variables if variable.started_at}
    if not running:
        waiting_pods = ", ".join(_list_pods(variables))
        return False, f"no Airflow pod with {name} is running yet: {waiting_pods}. Run again when one is"
    written_at = live.connections_secret.written_at[name] if live.connections_secret else live.read_at
    if outdated_pods := _list_pods(variable for variable, started_at in running.items() if started_at <= written_at):
        restart = f"kubectl -n {secret.namespace} delete pod {' '.join(outdated_pods)}"
        return False, (
            f"{secret} was written at {_format_time(written_at)}, after the start of {', '.join(outdated_pods)}. "
            f"Restart with: {restart}"
        )
    return True, f"in the environment of {', '.join(_list_pods(running))}, from {secret}"


def _list_pods(variables: Iterable[ContainerVariable]) -> list[str]:
    return sorted({variable.pod for variable in variables})


def _format_time(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")


def _plan_connection(contract: Contract, ref: ConnectionRef, access: TargetAccess | None, live: LiveState) -> Action:
    return connection.plan_connection(ref, contract.xcom_sidecar, read_connection(ref, live), access, live.read_at)


def _block_duplicates(refs: tuple[ConnectionRef, ...], live: LiveState) -> list[Action]:
    """Block the connections that are also in Airflow's database."""
    note = (
        "it is also in Airflow's database, where it has no effect: the environment ({}) overrides it. "
        "Delete it there or set connection.via to api"
    )
    return [
        Action(Verb.BLOCKED, connection.make_connection_ref(ref.id), note=note.format(format_variable_name(ref.id)))
        for ref in refs
        if ref.id in live.connections
    ]


def _plan_write(
    contract: Contract, pending: list[Action], refs: tuple[ConnectionRef, ...], live: LiveState
) -> list[Action]:
    secret, target = live.connections_secret, make_secret_ref(contract)
    if not pending:
        kept = [ref.id for ref in refs if read_connection(ref, live)]
        return [Action(Verb.UNCHANGED, target, note=f"connections {', '.join(kept)}")] if kept else []
    if secret and not labels.is_managed(secret.labels):
        note = (
            f"it does not match the contract and is not managed by platformctl (no label {labels.SELECTOR}). "
            "Delete it and run again"
        )
        return [Action(Verb.BLOCKED, target, note=note)]
    return [_make_write(contract, pending, secret)]


def _make_write(contract: Contract, pending: list[Action], secret: LiveConnectionsSecret | None) -> Action:
    """Make one action that writes all pending connections.

    Other keys of the Secret are kept.
    """
    target = make_secret_ref(contract)
    values = dict(secret.values) if secret else {}
    values |= {format_variable_name(action.target.name): _serialize(action.body) for action in pending}
    notes = "; ".join(f"connection {action.target.name}: {action.note}" for action in pending)
    changes = tuple(change for action in pending for change in action.changes)
    return Action(
        Verb.CHANGE if secret and changes else Verb.CREATE,
        target,
        changes,
        note=f"{notes}; {RESTART.format(contract.release.namespace)}",
        body=_build_body(target, values),
        resource_version=secret.resource_version if secret else "",
    )


def _serialize(body: Mapping[str, Any]) -> str:
    content = {"conn_type": body["conn_type"], "description": body["description"], "extra": json.loads(body["extra"])}
    return json.dumps(content, sort_keys=True)


def _build_body(ref: ObjectRef, values: Mapping[str, str]) -> dict[str, Any]:
    metadata = {"name": ref.name, "namespace": ref.namespace, "labels": labels.build_common_labels()}
    data = {key: base64.b64encode(text.encode()).decode() for key, text in sorted(values.items())}
    return {"apiVersion": "v1", "kind": ref.kind, "metadata": metadata, "type": "Opaque", "data": data}
