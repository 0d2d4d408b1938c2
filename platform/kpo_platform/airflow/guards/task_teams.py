"""The team of a task instance and of a DAG, read from Airflow's database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from kpo_platform.airflow.guards.execution_api.origin import Origin
from kpo_platform.airflow.guards.teams import find_team_of_bundle
from kpo_platform.contract import Contract

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


def find_team_of_version(dag_version_id: Any, session: Session, contract: Contract) -> str | None:
    """Find the team that owns a version of a DAG, from which a task instance runs.

    The version keeps its bundle and its file when another team takes over the DAG's id. The table ``dag`` does not: it
    has the file that was parsed last (3.3, models/dag_version.py, models/serialized_dag.py).
    """
    from airflow.models.dag_version import DagVersion
    from airflow.models.serialized_dag import SerializedDagModel

    bundle = session.scalar(select(DagVersion.bundle_name).where(DagVersion.id == dag_version_id))
    if bundle is None or find_team_of_bundle(bundle, None, contract) is not None:
        return find_team_of_bundle(bundle, None, contract)
    model = session.scalar(select(SerializedDagModel).where(SerializedDagModel.dag_version_id == dag_version_id))
    data: Any = model.data if model is not None else None
    file = data["dag"].get("relative_fileloc") if isinstance(data, dict) else None
    return find_team_of_bundle(bundle, file, contract)


def find_dag_teams(dag_id: str, session: Session, contract: Contract) -> frozenset[str | None]:
    """Find the teams that own a DAG or versions of it, as the API server does for requests about all runs of a DAG.

    Returns:
        The teams, None for no team; empty if Airflow has no such DAG.
    """
    from airflow.models.dag import DagModel
    from airflow.models.dag_version import DagVersion

    query = select(DagModel.bundle_name, DagModel.relative_fileloc).where(DagModel.dag_id == dag_id)
    row = session.execute(query).one_or_none()
    if row is None:
        return frozenset()
    dag = Origin(row.bundle_name, row.relative_fileloc)
    versions = session.scalars(select(DagVersion.bundle_name).where(DagVersion.dag_id == dag_id).distinct())
    return frozenset(origin.find_team(contract) for origin in (dag, *map(dag.of_version, versions)))
