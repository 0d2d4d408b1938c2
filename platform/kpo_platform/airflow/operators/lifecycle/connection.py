"""The task's connection to the cluster, which Airflow may not give out at the moment."""

from __future__ import annotations

from typing import Any

from kubernetes.client import CoreV1Api

from kpo_platform.airflow.operators.lifecycle.api_request import ConnectionUnreadable
from kpo_platform.pod.cluster_text import sanitize


def read_client(operator: Any) -> CoreV1Api:
    """Return the operator's client, which is built from its Airflow connection; errors of its callbacks pass through.

    Raises:
        ConnectionUnreadable: Airflow did not give out the connection, or nothing can be built from it.
    """
    try:
        operator.hook.core_v1_client  # noqa: B018
    except Exception as error:
        raise ConnectionUnreadable(
            f"Cannot read the task's connection to the cluster: {sanitize(error) or type(error).__name__}",
            "Check the connection, and Airflow's secrets backend.",
        ) from error
    client: CoreV1Api = operator.client
    return client
