"""Fixtures of the Execution API's tests, apart from the other integration tests: some of those run without Airflow."""

from __future__ import annotations

from integration.support.execution_api import execution_api, publish_isolation, shared_api

__all__ = ["execution_api", "publish_isolation", "shared_api"]
