"""Handle a worker pod with KubernetesExecutor's own code.

Usage: python worker_program.py NAMESPACE, with KUBECONFIG of the account. The last line of its output is
{"marked", "raised"} as JSON.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
import tempfile
from contextlib import suppress
from queue import Queue
from typing import Any

from cluster.support.pods.sleeper import POD


def prepare(namespace: str) -> None:
    """Set Airflow's home and the executor's settings, before Airflow is imported."""
    os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="kpo-platform-airflow-")
    settings = {
        "NAMESPACE": namespace,
        "IN_CLUSTER": "False",
        "CONFIG_FILE": os.environ["KUBECONFIG"],
        "KUBE_CLIENT_REQUEST_ARGS": '{"_request_timeout": 5}',  # also limits its watch
    }
    os.environ.update({f"AIRFLOW__KUBERNETES_EXECUTOR__{key}": value for key, value in settings.items()})


def handle_pod(namespace: str) -> bool:
    """Create, watch, mark, list and delete a pod; return whether the mark was found."""
    from airflow.providers.cncf.kubernetes.executors.kubernetes_executor import KubernetesExecutor
    from airflow.providers.cncf.kubernetes.executors.kubernetes_executor_utils import (
        AirflowKubernetesScheduler,
        KubernetesJobWatcher,
    )
    from airflow.providers.cncf.kubernetes.kube_client import get_kube_client
    from kubernetes.client import ApiClient
    from urllib3.exceptions import ReadTimeoutError

    class Scheduler(AirflowKubernetesScheduler):
        """A scheduler without watch processes."""

        def _make_kube_watchers(self) -> dict[str, Any]:
            return {}

    executor = KubernetesExecutor()
    executor.kube_client = get_kube_client()
    scheduler = Scheduler(executor.kube_config, Queue(), executor.kube_client, "0")
    name = f"mutation-{secrets.token_hex(4)}"
    pod = {**POD, "metadata": {"name": name, "namespace": namespace, "labels": {"dag_id": "mutation"}}}
    scheduler.run_pod_async(ApiClient()._ApiClient__deserialize(pod, "V1Pod"))
    watcher = KubernetesJobWatcher(namespace, Queue(), None, "0", executor.kube_config)
    with suppress(ReadTimeoutError):
        watcher._run(executor.kube_client, None, "0", executor.kube_config)
    scheduler.patch_pod_executor_done(pod_name=name, namespace=namespace)
    marked = executor._list_pods({"label_selector": "dag_id=mutation,airflow_executor_done=True"})
    scheduler.delete_pod(name, namespace)
    return name in [pod.metadata.name for pod in marked]


def main(namespace: str) -> None:
    """Handle the pod and print the outcome."""
    prepare(namespace)
    outcome: dict[str, Any] = {"marked": None, "raised": ""}
    try:
        outcome["marked"] = handle_pod(namespace)
    except Exception as error:
        outcome["raised"] = f"{type(error).__name__}: {error}"
    sys.stdout.write(json.dumps(outcome) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
