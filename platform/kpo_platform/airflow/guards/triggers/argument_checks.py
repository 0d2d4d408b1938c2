"""Checks of the arguments of default triggers, after their types have been found to be plain."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from kpo_platform.airflow.guards.teams import find_owners, has_grant
from kpo_platform.airflow.guards.triggers.plain_values import read_items, read_uuid, unwrap_dictionary
from kpo_platform.airflow.guards.triggers.request import Scope, TriggerRefusedError

Arguments = Mapping[str, Any]

MIN_INTERVAL_S = 0.1
"""The shortest polling interval: a trigger that polls without a pause takes the time of all others."""

_INTERVALS = ("poll_interval", "poke_interval", "startup_check_interval")
_KUBERNETES_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
# Airflow's client puts connection and run ids into a URL without quoting them (3.3, sdk/api/client.py).
_CONNECTION_ID = re.compile(r"[A-Za-z0-9_.:!()-]+")
_DAG_ARGUMENTS = ("external_dag_id", "dag_id")
_DAG_ID = re.compile(r"[\w.-]{1,250}")
_RUN_ID = re.compile(r"[^/\\?#%\s\x00-\x1f]+")
_SCHEMA_PROGRAMS = frozenset({"pattern", "patternProperties", "$ref", "$dynamicRef", "$recursiveRef"})
"""Keywords of JSON Schema that run a regular expression or open a URL, both of which can stop the triggerer."""


def check_intervals(arguments: Arguments, scope: Scope) -> None:
    """Refuse polling intervals that are not a number, or too short."""
    for name in _INTERVALS:
        value = arguments.get(name, MIN_INTERVAL_S)
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not is_number or not math.isfinite(value) or value < MIN_INTERVAL_S:
            raise TriggerRefusedError(
                f"{name} is {_quote(value)}", f"Set it to a number of seconds of at least {MIN_INTERVAL_S}."
            )


def check_cluster(arguments: Arguments, scope: Scope) -> None:
    """Refuse a kubeconfig that the task brings along, because it may name a program to run."""
    for name in ("config_dict", "config_file"):
        if arguments.get(name):
            raise TriggerRefusedError(
                f"it has {name}, and the triggerer takes the cluster only from the connection",
                "Put the kubeconfig into the Airflow connection kubernetes_conn_id of the task.",
            )


def check_object_names(arguments: Arguments, scope: Scope) -> None:
    """Refuse names that no Kubernetes object can have; they would change the path of a request."""
    names = [arguments[name] for name in ("pod_name", "job_name") if arguments.get(name) is not None]
    if arguments.get("pod_names") is not None:
        names.extend(read_items(arguments["pod_names"]) or [arguments["pod_names"]])
    for name in names:
        if not isinstance(name, str) or not _KUBERNETES_NAME.fullmatch(name):
            raise TriggerRefusedError(f"{_quote(name)} is not the name of a pod or Job", "Use the object's name.")


def check_namespaces(arguments: Arguments, scope: Scope) -> None:
    """Refuse another namespace than the team's; to a task of no team, every team's namespace."""
    team, teams = scope.request.team, scope.contract.teams
    for name in ("pod_namespace", "job_namespace"):
        if name not in arguments:
            continue
        namespace = arguments[name]
        if not isinstance(namespace, str) or not _KUBERNETES_NAME.fullmatch(namespace):
            raise TriggerRefusedError(f"{name} is {_quote(namespace)}", "Use the name of a namespace.")
        if team is not None and team in teams:
            if namespace != teams[team].namespace:
                raise TriggerRefusedError(f"{name} is {namespace!r}, but team {team!r} has {teams[team].namespace!r}")
        elif owners := sorted(other for other, fields in teams.items() if fields.namespace == namespace):
            raise TriggerRefusedError(f"{name} is {namespace!r} of team {owners[0]!r}, but the task's DAG has no team")


def check_connection(arguments: Arguments, scope: Scope) -> None:
    """Refuse a connection that the team may not read."""
    connection_id = arguments.get("kubernetes_conn_id")
    if connection_id is None:
        return
    if not isinstance(connection_id, str) or not _CONNECTION_ID.fullmatch(connection_id):
        raise TriggerRefusedError(f"kubernetes_conn_id is {_quote(connection_id)}", "Use the id of a connection.")
    owners = find_owners("connection", connection_id, scope.contract)
    if not owners.allow(scope.request.team, "read"):
        of_teams = f" of team {min(owners.teams)!r}" if owners.teams else ""
        raise TriggerRefusedError(
            f"kubernetes_conn_id is {connection_id!r}{of_teams}, but {_describe_task(scope)}",
            "Use the team's own connection, or ask the platform team to add the connection to "
            "isolation.shared.connections.",
        )


def list_watched_dags(arguments: Any) -> set[str]:
    """List the ids of DAGs in arguments as parsed from JSON; without texts that cannot be the id of a DAG."""
    arguments = unwrap_dictionary(arguments)
    values = [arguments.get(name) for name in _DAG_ARGUMENTS] if isinstance(arguments, dict) else []
    return {value for value in values if isinstance(value, str) and _DAG_ID.fullmatch(value)}


def check_watched_dag(arguments: Arguments, scope: Scope) -> None:
    """Refuse a DAG of another team, unless a grant allows the task's team to read its states."""
    dag_id = next((arguments[name] for name in _DAG_ARGUMENTS if name in arguments), None)
    if not isinstance(dag_id, str):
        raise TriggerRefusedError(f"the DAG is {_quote(dag_id)}", "Use the id of a DAG.")
    for run_id in read_items(arguments.get("run_ids")) or ():
        if not isinstance(run_id, str) or not _RUN_ID.fullmatch(run_id) or run_id in (".", ".."):
            raise TriggerRefusedError(f"{_quote(run_id)} is not a run id", "Use the id of a DAG run.")
    owners, team = scope.find_dag_teams(dag_id), scope.request.team
    if not owners:
        raise TriggerRefusedError(
            f"Airflow does not know the DAG {_quote(dag_id)}", "Correct the id, or start the task after the DAG exists."
        )
    for owner in sorted(str(owner) for owner in owners if not has_grant(team, owner, "state", scope.contract)):
        grant = f"{{from: {team}, to: {owner}, do: [state]}}"
        raise TriggerRefusedError(
            f"the DAG {_quote(dag_id)} belongs to team {owner!r}, but {_describe_task(scope)}",
            f"Ask the platform team to add {grant} to isolation.grants."
            if team is not None
            else f"Move the DAG file to the folder or bundle of team {owner!r}.",
        )


def check_human_input(arguments: Arguments, scope: Scope) -> None:
    """Refuse another task's question, and schemas whose check could stop the triggerer."""
    if read_uuid(arguments.get("ti_id")) != scope.request.task_instance_id:
        raise TriggerRefusedError("ti_id is not the task that waits", "Use the id of the task's own instance.")
    if keyword := _find_keyword(arguments.get("params")):
        raise TriggerRefusedError(f"params has the schema keyword {keyword!r}", "Leave it out.")


def _find_keyword(value: Any) -> str | None:
    """Find a keyword of `_SCHEMA_PROGRAMS` at any depth."""
    if isinstance(value, list):
        return next((found for item in value if (found := _find_keyword(item))), None)
    if not isinstance(value, dict):
        return None
    own = next((name for name in value if name in _SCHEMA_PROGRAMS), None)
    return own or next((found for item in value.values() if (found := _find_keyword(item))), None)


def _describe_task(scope: Scope) -> str:
    team = scope.request.team
    return f"the task runs for team {team!r}" if team is not None else "the task's DAG has no team"


def _quote(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:99]}…"
