"""Refuse asset events that a task's success would emit for other teams' assets.

A refused request ``PATCH …/state`` would leave the task in the state ``running``, although its supervisor has exited
with 0. Airflow (3.3, routes/task_instances.py) takes any error of `TaskInstance.register_asset_changes_in_db` for a
failure of the task, rolls the events back and sets the task to ``failed``; so the judgement is made there. The task has
ended by then, and its log is closed: the reason is in Airflow's audit log, which the UI shows beside the task.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterable
from typing import Any

from airflow.models.log import Log
from airflow.models.taskinstance import TaskInstance
from airflow.utils.session import create_session
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from kpo_platform.airflow.guards.contract_file import read_contract
from kpo_platform.airflow.guards.execution_api.judgement import UNKNOWN_TASK, Asker, judge_asset
from kpo_platform.airflow.guards.execution_api.lookup import read_assets
from kpo_platform.airflow.guards.origin import CONFLICT_FIX
from kpo_platform.airflow.guards.task_origins import read_task_origin
from kpo_platform.contract import Contract
from kpo_platform.errors import PlatformError

AUDIT_EVENT = "asset event refused"
"""The event's name in Airflow's audit log."""

log = logging.getLogger(__name__)

_FUNCTION = "register_asset_changes_in_db"
_MARK = "kpo_platform_refuses_foreign_assets"


class ForeignAssetError(PlatformError):
    """A task would emit an event of an asset that its team may not update."""


def guard_asset_events(remote_log_conn_id: str | None) -> None:
    """Replace the function of Airflow that registers a task's asset events by one that judges them before."""
    register: Callable[..., Any] = getattr(TaskInstance, _FUNCTION)
    if hasattr(register, _MARK):
        return

    @functools.wraps(register)
    def register_allowed_changes(
        ti: TaskInstance, task_outlets: Any, outlet_events: Any, *, session: Session | None = None
    ) -> Any:
        if session is None:
            with create_session() as own_session:
                return register_allowed_changes(ti, task_outlets, outlet_events, session=own_session)
        if (task_outlets or outlet_events) and (contract := read_contract()).isolation.enabled:
            assets = collect_assets(task_outlets, outlet_events)
            try:
                _refuse_foreign_assets(session, ti, assets, contract, remote_log_conn_id)
            except ForeignAssetError as error:
                _write_audit_log(ti, str(error))
                raise
        return register(ti, task_outlets, outlet_events, session=session)

    setattr(register_allowed_changes, _MARK, True)
    setattr(TaskInstance, _FUNCTION, staticmethod(register_allowed_changes))


def collect_assets(
    task_outlets: Iterable[Any], outlet_events: Iterable[dict[str, Any]]
) -> list[tuple[str | None, str | None]]:
    """Collect name and URI of all assets, references and aliases in the payload of a task's success."""
    assets: dict[tuple[str | None, str | None], None] = {(outlet.name, outlet.uri): None for outlet in task_outlets}
    for event in outlet_events:
        key = event.get("dest_asset_key") or {}
        assets[key.get("name"), key.get("uri")] = None
        assets[event.get("source_alias_name"), None] = None
    return list(assets)


def _refuse_foreign_assets(
    session: Session,
    ti: TaskInstance,
    assets: list[tuple[str | None, str | None]],
    contract: Contract,
    remote_log_conn_id: str | None,
) -> None:
    """Raise for the first asset that the task's team may not update, by its name, its URI or what they refer to.

    Every name and every URI is looked up, whatever else is given: Airflow (3.3) goes by the type of an outlet and
    ignores its other field (models/taskinstance.py), and an event also starts the DAGs that wait for a reference to
    only the name or only the URI of its asset (assets/manager.py, `register_asset_change`).
    """
    origin = read_task_origin(session, ti.id)
    if origin is None:
        raise ForeignAssetError(UNKNOWN_TASK)
    if conflict := origin.find_conflict(contract):
        raise ForeignAssetError(f"{conflict}. {CONFLICT_FIX}")
    asker = Asker(origin.dag.find_team(contract), contract, remote_log_conn_id)
    known = read_assets(session, [name for name, _ in assets], [uri for _, uri in assets])
    for name, uri in [*assets, *known]:
        if refusal := judge_asset(asker, name, uri, "write"):
            raise ForeignAssetError(refusal)


def _write_audit_log(ti: TaskInstance, reason: str) -> None:
    """Write the reason with a session of its own, because Airflow rolls that of the request back."""
    try:
        with create_session(scoped=False) as session:
            session.add(Log(AUDIT_EVENT, task_instance=ti, extra=reason))
    except SQLAlchemyError:
        log.exception("Cannot write the audit log: %s", reason)
