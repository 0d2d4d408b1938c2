"""Fixtures of the integration tests: platformctl, and a fake of the Kubernetes and Airflow APIs."""

from __future__ import annotations

from unit.support.platformctl import cluster, platformctl

__all__ = ["cluster", "platformctl"]
