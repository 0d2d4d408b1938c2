"""What unit tests of several files stand on: platformctl, a published contract, the pods of TeamPodOperator."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from unit.support.contracts import CONTRACT, Build
from unit.support.in_process_ansible import ansible_in_process
from unit.support.in_process_offline import offline_in_process
from unit.support.platformctl import cluster, platformctl

__all__ = ["ansible_in_process", "build", "cluster", "offline_in_process", "platformctl", "publish"]

Publish = Callable[..., None]


@pytest.fixture
def publish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Publish:
    """Publish the contract with further teams, each as team alpha but for its fields, and with further templates."""
    file = tmp_path / "contract.json"
    monkeypatch.setenv("KPO_PLATFORM_CONTRACT", str(file))

    def write(templates: dict[str, Any] | None = None, pod_link: str = "", **teams: dict[str, Any]) -> None:
        alpha = CONTRACT["teams"]["alpha"]
        every = {"alpha": alpha, **{name: {**alpha, **fields} for name, fields in teams.items()}}
        pods = {**CONTRACT["podTemplates"], **(templates or {})}
        file.write_text(json.dumps({**CONTRACT, "podLink": pod_link, "teams": every, "podTemplates": pods}))

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
