"""Temporary teams with a contract of their own, for bootstrap runs that may write, fail and repeat."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from stack.airflow_api import AirflowApi, NotFoundError
from stack.release import NAMESPACE, Stack

HOST = "registry.kpo-platform.test"
LOGIN = json.dumps({"auths": {HOST: {"username": "robot", "password": "of-a-test"}}})


@dataclass(frozen=True)
class TemporaryTeams:
    """Teams of a temporary contract.

    Attributes:
        stack: the cluster.
        contract_namespace: the namespace of the contract.
        connection: the id of the teams' Airflow connection.
        namespaces: the teams' namespaces.
    """

    stack: Stack
    contract_namespace: str
    connection: str
    namespaces: tuple[str, ...]

    def delete_objects(self, airflow: AirflowApi) -> None:
        """Delete everything that bootstrap created, and its Lease."""
        self.stack.kubectl("delete", "lease", "-n", self.contract_namespace, "--all")
        for namespace in self.namespaces:
            self.stack.kubectl("delete", "secrets,pvc", "--all", "-n", namespace)
        with suppress(NotFoundError):
            airflow.delete(f"connections/{self.connection}")


@contextmanager
def publish_teams(
    stack: Stack, airflow: AirflowApi, namespace: str, teams: int, volumes: int, **fields: Any
) -> Iterator[TemporaryTeams]:
    """Publish a copy of the stack's contract with other teams during the block.

    After the block, the contract is deleted with all objects of the teams.

    Args:
        stack: the cluster with the stack.
        airflow: the stack's Airflow.
        namespace: the namespace of the contract, and prefix of the teams' namespaces.
        teams: number of teams.
        volumes: number of volumes per team.
        fields: fields of the teams that differ from those of the stack's team alpha.
    """
    temporary = TemporaryTeams(
        stack, namespace, f"k8s_{namespace}", tuple(f"{namespace}-{number}" for number in range(teams))
    )
    _delete(temporary)
    try:
        for name in (namespace, *temporary.namespaces):
            stack.kubectl("create", "namespace", name)
        stack.kubectl(
            "apply", "--server-side", "-f", "-", stdin=json.dumps(_contract_object(temporary, volumes, fields))
        )
        yield temporary
    finally:
        _delete(temporary)
        with suppress(NotFoundError):
            airflow.delete(f"connections/{temporary.connection}")


def _contract_object(temporary: TemporaryTeams, volumes: int, fields: dict[str, Any]) -> dict[str, Any]:
    (config_map,) = temporary.stack.get("configmaps", "-n", NAMESPACE, "-l", "app.kubernetes.io/component=contract")[
        "items"
    ]
    contract = json.loads(config_map["data"]["contract.json"])
    alpha = {**contract["teamDefaults"], **contract["teams"]["alpha"]}  # a team's own fields replace the defaults
    volume = {"size": "1Mi", "accessMode": "ReadWriteOnce", "storageClass": None, "readOnly": False}
    contract["teams"] = {
        namespace: {
            **alpha,
            "namespace": namespace,
            "registry": {**alpha["registry"], "host": HOST},
            "volumes": [
                {**volume, "name": f"data-{number}", "mountPath": f"/data/{number}"} for number in range(volumes)
            ],
            "connection": {**alpha["connection"], "id": temporary.connection},
            **fields,
        }
        for namespace in temporary.namespaces
    }
    metadata = {
        "name": "contract",
        "namespace": temporary.contract_namespace,
        "labels": config_map["metadata"]["labels"],
    }
    data = {"contract.json": json.dumps(contract)}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def _delete(temporary: TemporaryTeams) -> None:
    temporary.stack.kubectl(
        "delete", "namespace", temporary.contract_namespace, *temporary.namespaces, "--ignore-not-found", timeout_s=180
    )
