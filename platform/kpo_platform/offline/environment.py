"""What a process needs in its environment, before Airflow is imported, to read DAG files and to make pods of them."""

from __future__ import annotations

import json
from pathlib import Path

from kpo_platform.contract import FILE_VARIABLE, Contract
from kpo_platform.pod.xcom import connection_extra


def variables(contract: Contract, file: Path, dags: Path, home: Path) -> dict[str, str]:
    """The environment variables for a contract and a folder of DAGs; those that are there already stay beside them.

    Args:
        contract: what the file holds.
        file: the contract's file.
        dags: the folder below which folders tell of teams.
        home: an empty folder of the process's own. Airflow writes there, and its database would be there if anything
            asked for one.
    """
    return {
        FILE_VARIABLE: str(file.resolve()),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW_CONFIG": str(home / "airflow.cfg"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGBAG_IMPORT_ERROR_TRACEBACK_DEPTH": "100",  # the author's line is seldom the deepest
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/none.db",
        **connections(contract, {"in_cluster": True}),
    }


def connections(contract: Contract, way: dict[str, object]) -> dict[str, str]:
    """The connections that bootstrap makes, as environment variables.

    Args:
        contract: which connections the teams have.
        way: how Kubernetes is reached, as the extra of a connection has it.
    """
    content = json.dumps({"conn_type": "kubernetes", "extra": {**connection_extra(contract.xcom_sidecar), **way}})
    return {f"AIRFLOW_CONN_{team.connection.id.upper()}": content for team in contract.teams.values()}


def by_kubeconfig(kubeconfig: str | None, context: str | None) -> dict[str, object]:
    """The way from a person's machine, for `connections`; without a kubeconfig, that of the pod they are in."""
    if kubeconfig is None:
        return {"in_cluster": True}
    return {"in_cluster": False, "kube_config_path": kubeconfig, **({"cluster_context": context} if context else {})}
