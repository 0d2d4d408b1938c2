"""Fixtures that publish a contract as a file, and build the pods of TeamPodOperator with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from unit.support.contracts import CONTRACT, Build

Publish = Callable[..., None]


@pytest.fixture
def publish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Publish:
    """Publish the contract with more teams and templates; a team has the fields of team alpha and its own."""
    file = tmp_path / "contract.json"
    monkeypatch.setenv("KPO_PLATFORM_CONTRACT", str(file))

    def write(templates: dict[str, Any] | None = None, pod_link: str = "", **teams: dict[str, Any]) -> None:
        alpha = CONTRACT["teams"]["alpha"]
        all_teams = {"alpha": alpha, **{name: {**alpha, **fields} for name, fields in teams.items()}}
        pods = {**CONTRACT["podTemplates"], **(templates or {})}
        file.write_text(json.dumps({**CONTRACT, "podLink": pod_link, "teams": all_teams, "podTemplates": pods}))

    return write


@pytest.fixture
def build(publish: Publish) -> Build:
    """Build the pod of a TeamPodOperator for team alpha, as JSON."""
    publish()

    def build_pod(**arguments: Any) -> dict[str, Any]:
        from kpo_platform import TeamPodOperator
        from kpo_platform.airflow.operators.arguments.serialize import serialize_pod

        task = TeamPodOperator(**{"task_id": "t", "team": "alpha", "image": "busybox:1.35", **arguments})
        return serialize_pod(task.build_pod_request_obj(dry_run=True))

    return build_pod
