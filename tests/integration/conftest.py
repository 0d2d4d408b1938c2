"""Fixtures of the integration tests: platformctl, and a server that answers as cluster and Airflow."""

from __future__ import annotations

from unit.support.platformctl import cluster, platformctl

__all__ = ["cluster", "platformctl"]
