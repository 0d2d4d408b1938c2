"""The team's values for arguments of the stock operator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kpo_platform.airflow.operators.arguments.pod_fields import select_post_init_arguments
from kpo_platform.airflow.provider_version import is_supported
from kpo_platform.contract import Team
from kpo_platform.pod.compose import BASE
from kpo_platform.pod.merge import Json

_STARTUP_CHECK_INTERVAL_S = 1  # of a task that waits in a worker: the stock 5 s make the shortest task take 5 s


def list_post_init_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """List the arguments that are set after the constructor; none with an untested provider."""
    return select_post_init_arguments(arguments) if is_supported() else {}


def build_stock_arguments(
    arguments: Mapping[str, Any], stock: Mapping[str, Any], xcom: bool | str | None, team: Team
) -> Json:
    """Build the stock operator's arguments: the author's, else the team's, and the locked ones."""
    is_deferrable = bool(arguments.get("deferrable", team.policy.deferrable))
    team_defaults = _list_team_defaults(team, is_deferrable)
    defaults = {name: value for name, value in team_defaults.items() if name not in arguments}
    post_init = dict.fromkeys(list_post_init_arguments(arguments))
    xcom_argument = {} if xcom is None else {"do_xcom_push": bool(xcom)}
    locked = {
        "namespace": team.namespace,
        "service_account_name": None,
        "automount_service_account_token": None,
        "base_container_name": BASE,
    }
    return {**defaults, **stock, **post_init, **xcom_argument, **locked}


def _list_team_defaults(team: Team, is_deferrable: bool) -> dict[str, Any]:
    """List the team's values for arguments of the stock operator that the author does not set."""
    # The stock trigger keeps its interval for as long as the pod waits, which may be a day.
    interval = {} if is_deferrable else {"startup_check_interval_seconds": _STARTUP_CHECK_INTERVAL_S}
    return {
        "kubernetes_conn_id": team.connection.id,
        "pool": team.pool.name,
        "deferrable": team.policy.deferrable,
        "get_logs": team.policy.get_logs,
        "on_finish_action": team.policy.on_finish,
        "startup_timeout_seconds": team.policy.startup_timeout,
        "schedule_timeout_seconds": team.policy.room_timeout,
        **interval,
        "log_events_on_failure": True,
        "log_pod_spec_on_failure": False,  # it would log the values of environment variables
    }
