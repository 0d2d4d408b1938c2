"""Teams of a contract of their own, beside the stack's: for runs of bootstrap that may write, break and repeat."""

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
    """Teams that exist only in a contract of their own.

    Attributes:
        stack: the cluster.
        home: the namespace of the contract.
        connection: the id of their connection.
        namespaces: the teams' namespaces.
    """

    stack: Stack
    home: str
    connection: str
    namespaces: tuple[str, ...]

    def empty(self, airflow: AirflowApi) -> None:
        """Remove everything that bootstrap made, and whose turn it was."""
        self.stack.kubectl("delete", "lease", "-n", self.home, "--all")
        for namespace in self.namespaces:
            self.stack.kubectl("delete", "secrets,pvc", "--all", "-n", namespace)
        with suppress(NotFoundError):
            airflow.delete(f"connections/{self.connection}")


@contextmanager
def publish_teams(
    stack: Stack, airflow: AirflowApi, home: str, teams: int, volumes: int, **changed: Any
) -> Iterator[TemporaryTeams]:
    """Publish a contract that is the stack's but for its teams; it goes with everything in it.

    Args:
        stack: the cluster with the stack.
        airflow: the stack's Airflow, signed in.
        home: the namespace of the contract; the teams' begin with it too.
        teams: how many teams.
        volumes: how many volumes each has.
        changed: fields of each team that are other than those of the stack's team alpha.
    """
    it = TemporaryTeams(stack, home, f"k8s_{home}", tuple(f"{home}-{number}" for number in range(teams)))
    _remove(it)
    try:
        for namespace in (home, *it.namespaces):
            stack.kubectl("create", "namespace", namespace)
        stack.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(_contract(it, volumes, changed)))
        yield it
    finally:
        _remove(it)
        with suppress(NotFoundError):
            airflow.delete(f"connections/{it.connection}")


def _contract(it: TemporaryTeams, volumes: int, changed: dict[str, Any]) -> dict[str, Any]:
    (published,) = it.stack.get("configmaps", "-n", NAMESPACE, "-l", "app.kubernetes.io/component=contract")["items"]
    whole = json.loads(published["data"]["contract.json"])
    model = {**whole["teamDefaults"], **whole["teams"]["alpha"]}  # a team's own fields come whole, not merged
    volume = {"size": "1Mi", "accessMode": "ReadWriteOnce", "storageClass": None, "readOnly": False}
    whole["teams"] = {
        namespace: {
            **model,
            "namespace": namespace,
            "registry": {**model["registry"], "host": HOST},
            "volumes": [{**volume, "name": f"data-{each}", "mountPath": f"/data/{each}"} for each in range(volumes)],
            "connection": {**model["connection"], "id": it.connection},
            **changed,
        }
        for namespace in it.namespaces
    }
    metadata = {"name": "contract", "namespace": it.home, "labels": published["metadata"]["labels"]}
    data = {"contract.json": json.dumps(whole)}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def _remove(it: TemporaryTeams) -> None:
    it.stack.kubectl("delete", "namespace", it.home, *it.namespaces, "--ignore-not-found", timeout_s=180)
