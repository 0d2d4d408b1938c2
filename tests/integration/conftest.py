"""Fixtures of the integration tests: platformctl, a fake of the Kubernetes and Airflow APIs, and the Execution API."""

from __future__ import annotations

from integration.support.execution_api import execution_api, publish_isolation, shared_api
from unit.support.airflow_database import airflow_database, empty_airflow_database
from unit.support.platformctl import cluster, platformctl

__all__ = [
    "airflow_database",
    "cluster",
    "empty_airflow_database",
    "execution_api",
    "platformctl",
    "publish_isolation",
    "shared_api",
]
