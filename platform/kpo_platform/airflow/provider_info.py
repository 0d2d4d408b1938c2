"""Metadata of the Airflow provider."""

from __future__ import annotations

from typing import Any


def get_provider_info() -> dict[str, Any]:
    """Return what this provider adds to Airflow, for the entry point ``apache_airflow_provider``."""
    return {
        "package-name": "kpo-platform",
        "name": "kpo-platform",
        "description": "Pods for teams on Airflow and Kubernetes.",
        "task-decorators": [
            {"name": "team_pod", "class-name": "kpo_platform.airflow.decorators.team_pod.team_pod_task"},
        ],
    }
