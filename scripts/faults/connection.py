"""The Airflow connection whose requests pass the fault proxy."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

from faults.proxy import FaultProxy, run_fault_proxy
from local_cluster.addresses import HOST_IP
from stack.airflow_api import AirflowApi, NotFoundError
from stack.release import NAMESPACE, Stack

CONNECTION = "alpha_faults"
"""The connection's id; team alpha owns it because of its name."""

_TEAM_CONNECTION = "k8s_default"
_ACCOUNT = "airflow-scheduler"
_TOKEN_DURATION = "24h"


@contextmanager
def run_connected_proxy(stack: Stack, airflow: AirflowApi) -> Iterator[FaultProxy]:
    """Run a fault proxy, and a connection of team alpha that uses it, during the block.

    Args:
        stack: the cluster.
        airflow: Airflow's API as administrator.
    """
    kubeconfig = stack.read_kubeconfig()
    cluster = kubeconfig["clusters"][0]["cluster"]
    authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
    context = ssl.create_default_context(cadata=authority)
    with (
        TemporaryDirectory(prefix="kpo-platform-") as folder,
        run_fault_proxy(urlsplit(cluster["server"]).netloc, context, HOST_IP, Path(folder)) as proxy,
    ):
        _delete_connection(airflow)
        airflow.post("connections", _build_connection(stack, airflow, proxy))
        try:
            yield proxy
        finally:
            _delete_connection(airflow)


def _build_connection(stack: Stack, airflow: AirflowApi, proxy: FaultProxy) -> dict[str, Any]:
    """Return the team's connection with a kubeconfig for the proxy and the account of Airflow's tasks."""
    extra = json.loads(airflow.get(f"connections/{_TEAM_CONNECTION}")["extra"])
    sidecar = {key: text for key, text in extra.items() if key.startswith("xcom_sidecar_")}
    token = stack.kubectl("create", "token", _ACCOUNT, "-n", NAMESPACE, f"--duration={_TOKEN_DURATION}").strip()
    authority = base64.b64encode(proxy.certificate.read_bytes()).decode()
    kubeconfig = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "proxy", "cluster": {"server": proxy.url, "certificate-authority-data": authority}}],
        "users": [{"name": "proxy", "user": {"token": token}}],
        "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "proxy"}}],
        "current-context": "proxy",
    }
    return {
        "connection_id": CONNECTION,
        "conn_type": "kubernetes",
        "extra": json.dumps({**sidecar, "kube_config": kubeconfig}),
    }


def _delete_connection(airflow: AirflowApi) -> None:
    with suppress(NotFoundError):
        airflow.delete(f"connections/{CONNECTION}")
