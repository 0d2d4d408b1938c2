"""Run offline commands in the test's process, which saves the child's import of Airflow."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from typing import Any

import pytest

from kpo_platform.offline import client


@pytest.fixture
def offline_in_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Answer requests in this process; at least one test of each command starts the real child process."""
    from kpo_platform.airflow.bundle_lookup import read_dag_folders
    from kpo_platform.offline.__main__ import answer_request

    def run_in_process(request: Mapping[str, Any], environment: Mapping[str, str], on_line: Any, on_event: Any) -> Any:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        read_dag_folders.cache_clear()
        with redirect_stdout(io.StringIO()):  # like the child process, whose stdout carries only events and the answer
            return json.loads(json.dumps(answer_request(json.loads(json.dumps(request)), on_event)))

    monkeypatch.setattr(client, "_run_child", run_in_process)
    yield
    monkeypatch.undo()
    read_dag_folders.cache_clear()
