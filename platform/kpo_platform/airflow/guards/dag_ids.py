"""Keep a DAG id with the team that has it, when Airflow stores the DAGs of a parsed file.

All DAGs share one set of ids. Airflow (3.3, dag_processing/collection.py) gives an id to the file that was parsed last,
with its runs and its versions. The guard stores no DAG whose id a DAG of another team has, and gives its file an import
error instead.
"""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Collection, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.configuration import conf
from airflow.models.dag import DagModel
from airflow.models.errors import ParseImportError
from airflow.models.serialized_dag import SerializedDagModel
from airflow.utils.retries import run_with_db_retries
from airflow.utils.sqlalchemy import with_row_locks
from sqlalchemy import ColumnElement, and_, exists, not_, or_, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from kpo_platform.airflow.guards.contract_file import read_contract
from kpo_platform.airflow.guards.origin import Origin
from kpo_platform.contract import Contract

log = logging.getLogger(__name__)

_FUNCTION = "update_dag_parsing_results_in_db"
_PARAMETERS = {"bundle_name", "dags", "import_errors", "warnings", "session", "files_parsed"}
"""The function that the guard replaces, and the parameters that it uses."""

_MARK = "kpo_platform_keeps_dag_ids"


def guard_dag_ids(module: Any, *importers: Any) -> None:
    """Guard the module ``airflow.dag_processing.collection``; with another Airflow, log that it is not guarded.

    Args:
        module: the module.
        importers: modules that may have imported the function by its name; None is ignored.
    """
    store = getattr(module, _FUNCTION, None)
    if hasattr(store, _MARK):
        return
    missing = _PARAMETERS - (inspect.signature(store).parameters.keys() if store else set())
    if store is None or missing:
        log.warning(
            "DAG ids are not kept for their teams: this version of Airflow has no %s with the parameters %s.",
            *(_FUNCTION, ", ".join(sorted(missing))),
        )
        return
    guarded = _guard(store)
    for importer in (module, *importers):
        if getattr(importer, _FUNCTION, None) is store:
            setattr(importer, _FUNCTION, guarded)


def _guard(store: Any) -> Any:
    signature = inspect.signature(store)

    @functools.wraps(store)
    def store_own_dags(*args: Any, **kwargs: Any) -> Any:
        call = signature.bind(*args, **kwargs)
        try:
            _remove_foreign_dags(call.arguments)
        except OperationalError:  # Airflow has no database either; it logs this, and parses the file again
            raise
        except Exception:  # the DAG processor serves all teams
            log.exception("DAG ids are not kept for their teams: the parsed DAGs cannot be checked.")
        return store(*call.args, **call.kwargs)

    setattr(store_own_dags, _MARK, True)
    return store_own_dags


def _remove_foreign_dags(arguments: dict[str, Any]) -> None:
    """Replace the DAGs to be stored whose ids DAGs of other teams have by import errors of their files."""
    contract = read_contract()
    if not contract.isolation.enabled or not arguments["dags"]:
        return
    bundle, dags = arguments["bundle_name"], list(arguments["dags"])
    present = _read_present_dags(arguments["session"], [dag.dag_id for dag in dags])
    import_errors: dict[tuple[str, str], str] = arguments["import_errors"]  # Airflow adds its own errors to it, too
    refused = set()
    for dag in dags:
        parsed = Origin(bundle, dag.relative_fileloc)
        error = describe_conflict(dag.dag_id, parsed, present.get(dag.dag_id, parsed), contract)
        if error is not None:
            refused.add(dag.dag_id)
            key = (bundle, _find_parsed_file(dag.relative_fileloc, arguments.get("files_parsed") or ()))
            import_errors[key] = "\n".join(filter(None, (import_errors.get(key), error)))
            log.warning("Bundle %s, file %s: %s", *key, error)
    arguments["dags"] = [dag for dag in dags if dag.dag_id not in refused]
    arguments["warnings"] = {warning for warning in arguments["warnings"] if warning.dag_id not in refused}


def describe_conflict(dag_id: str, parsed: Origin, present: Origin, contract: Contract) -> str | None:
    """Describe why a parsed DAG is not stored: a DAG of another team has its id; None if the team is the same."""
    team, owner = parsed.find_team(contract), present.find_team(contract)
    if team == owner:
        return None
    return (
        f"DAG {dag_id!r} is not loaded: a DAG of {_name_team(owner)} has this id, and this file belongs to "
        f"{_name_team(team)}. Rename the DAG. If it has moved here on purpose, remove the other one, and wait until "
        "Airflow has marked that one as stale (about two minutes)."
    )


def _name_team(team: str | None) -> str:
    return "no team" if team is None else f"team {team!r}"


def _read_present_dags(session: Session, dag_ids: Collection[str]) -> dict[str, Origin]:
    """Read the origins of those of the DAGs that are present, and lock their rows, as Airflow does to store them.

    Rows that come from Airflow 2 have no known origin until they are parsed.
    """
    query = select(DagModel.dag_id, DagModel.bundle_name, DagModel.relative_fileloc).where(
        DagModel.dag_id.in_(dag_ids),
        DagModel.bundle_name.is_not(None),
        DagModel.relative_fileloc.is_not(None),
        _is_present(),
    )
    for attempt in run_with_db_retries():
        with attempt:
            try:
                rows = session.execute(with_row_locks(query, session, of=DagModel)).all()
            except OperationalError:
                session.rollback()
                raise
    return {dag_id: Origin(bundle, file) for dag_id, bundle, file in rows}


def _is_present() -> ColumnElement[bool]:
    """Select the DAGs that Airflow has not marked as stale, and those that are stale only for a time.

    Airflow marks a DAG as stale also while its file has an import error, which it deletes with the file. And it writes
    no version of a DAG soon after the last one, so the versions would not show that another team has the id.
    """
    has_error = exists().where(
        ParseImportError.bundle_name == DagModel.bundle_name, ParseImportError.filename == DagModel.relative_fileloc
    )
    interval = timedelta(seconds=conf.getint("core", "min_serialized_dag_update_interval", fallback=30))
    is_new = exists().where(
        SerializedDagModel.dag_id == DagModel.dag_id, SerializedDagModel.last_updated > datetime.now(UTC) - interval
    )
    return or_(not_(DagModel.is_stale), and_(DagModel.has_import_errors.is_(True), has_error), is_new)


def _find_parsed_file(file: str, parsed: Iterable[tuple[str, str]]) -> str:
    """Find the parsed file that contains a DAG's file: itself, or its archive, by which Airflow clears the error."""
    return next((name for _, name in parsed if file.startswith(f"{name}/")), file)
