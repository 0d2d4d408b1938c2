"""Environment variables of the child process that imports Airflow and the DAG files."""

from __future__ import annotations

import json
from pathlib import Path

from kpo_platform.contract import FILE_VARIABLE, Contract
from kpo_platform.pod.xcom import build_connection_extra


def build_environment(contract: Contract, file: Path, dags: Path, home: Path) -> dict[str, str]:
    """Return the variables for a contract and a folder of DAGs, to be added to the inherited ones.

    Args:
        contract: the content of the contract's file.
        file: the contract's file.
        dags: the DAGs folder; its subfolders are named after teams.
        home: an empty folder for AIRFLOW_HOME. No SQLite database is created there, because nothing uses one.
    """
    return {
        FILE_VARIABLE: str(file.resolve()),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW_CONFIG": str(home / "airflow.cfg"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        # The folder is no bundle: with ``--team`` it has a subfolder for the team, else one for each team.
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": "[]",
        "AIRFLOW__CORE__DAGBAG_IMPORT_ERROR_TRACEBACK_DEPTH": "100",  # the line of the DAG file is seldom the deepest
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/none.db",
        **build_connections(contract, {"in_cluster": True}),
    }


def build_connections(contract: Contract, cluster_extra: dict[str, object]) -> dict[str, str]:
    """Return the teams' Kubernetes connections, as bootstrap creates them, as environment variables.

    Args:
        contract: the contract, which names the connections.
        cluster_extra: the fields of the connections' extra that name the cluster.
    """
    extra = {**build_connection_extra(contract.xcom_sidecar), **cluster_extra}
    connection = json.dumps({"conn_type": "kubernetes", "extra": extra})
    return {f"AIRFLOW_CONN_{team.connection.id.upper()}": connection for team in contract.teams.values()}


def build_cluster_extra(kubeconfig: str | None, context: str | None) -> dict[str, object]:
    """Return the connection extra for a kubeconfig; without one, for the service account of the current pod."""
    if kubeconfig is None:
        return {"in_cluster": True}
    return {"in_cluster": False, "kube_config_path": kubeconfig, **({"cluster_context": context} if context else {})}
