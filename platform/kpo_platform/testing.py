"""A pytest fixture for the tests of DAGs: the pods of their tasks, with no cluster and no Airflow services.

In the conftest.py of the tests: ``pytest_plugins = ["kpo_platform.testing"]``. Then::

    def test_the_report_gets_memory(team_pods):
        pod = team_pods.render("dags/alpha/report.py", "make")
        assert pod["spec"]["containers"][0]["resources"]["limits"]["memory"] == "8Gi"
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kpo_platform.contract import file_at_hand
from kpo_platform.offline.client import Offline, Sources

__all__ = ["TeamPods", "team_pods"]


class TeamPods:
    """Renders pods by one contract.

    Args:
        contract: the contract's file; by default the one that ``platformctl render`` takes.
    """

    def __init__(self, contract: str | Path | None = None) -> None:
        self._contract = file_at_hand(contract)

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
        """The pod of a task, as its operator would send it: a v1 Pod as JSON.

        Args:
            file: the DAG file.
            task: the task's id.
            folder: the folder of the DAGs, whose folders tell of teams; by default the file's own folder's parent.
            team: the team whose DAG the file is, where no folder tells.
            map_index: which pod of a mapped task, counted from 0.
            params: parameters of the run.
            xcom: the results of other tasks, by their ids.
            logical_date: the run's date, with its zone; by default 2026-01-01 in UTC, so that pods stay the same.

        Raises:
            PodError: the pod is refused.
            TaskError: there is no such task, or it needs what was not given.
            TeamError: the contract has no such team.
        """
        path = Path(file)
        root = Path(folder) if folder else path.parent if team else path.resolve().parent.parent
        attempt = {
            "run_id": "test",
            "logical_date": (logical_date or datetime(2026, 1, 1, tzinfo=UTC)).isoformat(),
            "map_index": map_index,
            "params": params or {},
            "results": xcom or {},
        }
        request = {"dag": str(file), "task": task, "attempt": attempt}
        pod: dict[str, Any] = Offline.of(self._contract, Sources(root, path, team)).ask("render", request)
        return pod


@pytest.fixture
def team_pods() -> TeamPods:
    """The pods of DAGs, by the contract of ``KPO_PLATFORM_CONTRACT`` or the one that was pulled."""
    return TeamPods()
