"""Fixtures of the integration tests: platformctl, a fake of the Kubernetes and Airflow APIs, and Airflow's database."""

from __future__ import annotations

from unit.support.airflow_database import airflow_database, empty_airflow_database
from unit.support.platformctl import cluster, platformctl

__all__ = [
    "airflow_database",
    "cluster",
    "empty_airflow_database",
    "platformctl",
]
