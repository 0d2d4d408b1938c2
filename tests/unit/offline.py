"""Commands that read DAG files, without the seconds in which a process of its own would import Airflow."""

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
    """Requests are answered here; at least one test of each command has them answered as people have."""
    from kpo_platform.airflow.team_lookup import roots
    from kpo_platform.offline.__main__ import answer

    def converse(request: Mapping[str, Any], environment: Mapping[str, str], hear: Any, learn: Any) -> Any:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        roots.cache_clear()
        with redirect_stdout(io.StringIO()):  # as the process does, whose stdout is for the answer alone
            return json.loads(json.dumps(answer(json.loads(json.dumps(request)), learn)))

    monkeypatch.setattr(client, "_converse", converse)
    yield
    monkeypatch.undo()
    roots.cache_clear()
