"""A pytest fixture that renders the pods of DAGs without a cluster and without Airflow's services.

Put ``pytest_plugins = ["kpo_platform.testing"]`` into conftest.py. Then::

    def test_the_report_gets_memory(team_pods):
        pod = team_pods.render("dags/alpha/report.py", "make")
        assert pod["spec"]["containers"][0]["resources"]["limits"]["memory"] == "8Gi"
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kpo_platform.contract import find_contract_file
from kpo_platform.offline.client import OfflineClient, Sources

__all__ = ["TeamPods", "team_pods"]


class TeamPods:
    """Renders pods for one contract.

    Args:
        contract: the contract's file; by default the one that ``platformctl render`` uses.
    """

    def __init__(self, contract: str | Path | None = None) -> None:
        self._contract = find_contract_file(contract)

    def render(
        self,
        file: str | Path,
        task: str,
        *,
        folder: str | Path | None = None,
        team: str | None = None,
        map_index: int = -1,
        params: dict[str, Any] | None = None,
        xcom: dict[str, Any] | None = None,
        logical_date: datetime | None = None,
    ) -> dict[str, Any]:
        """Render the pod of a task as its operator would send it.

        Args:
            file: the DAG file.
            task: the task's id.
            folder: the DAGs folder; its subfolders are named after teams. By default the parent of the file's folder.
            team: the team that owns the DAG, if no subfolder names it.
            map_index: index of a mapped task's pod, counted from 0.
            params: params of the DAG run.
            xcom: results of other tasks by task id.
            logical_date: the logical date, with a time zone; by default 2026-01-01 in UTC, so that pods stay the same.

        Returns:
            A v1 Pod as JSON.

        Raises:
            PodError: the pod is refused.
            TaskError: the task does not exist, or needs a result or map index that was not given.
            TeamError: the contract has no such team.
        """
        path = Path(file)
        root = Path(folder) if folder else path.parent if team else path.resolve().parent.parent
        run_settings = {
            "run_id": "test",
            "logical_date": (logical_date or datetime(2026, 1, 1, tzinfo=UTC)).isoformat(),
            "map_index": map_index,
            "params": params or {},
            "results": xcom or {},
        }
        request = {"dag": str(file), "task": task, "run_settings": run_settings}
        client = OfflineClient.create(self._contract, Sources(root, path, team))
        pod: dict[str, Any] = client.send_request("render", request)
        return pod


@pytest.fixture
def team_pods() -> TeamPods:
    """Renders pods for the contract of ``KPO_PLATFORM_CONTRACT``, else for the one saved by `contract pull`."""
    return TeamPods()
