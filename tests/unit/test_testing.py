"""kpo_platform.testing: the pytest fixture for tests of DAGs."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.paths import REPOSITORY
from kpo_platform.errors import PodError, TaskError
from kpo_platform.testing import TeamPods, team_pods
from unit.support.published_contract import Publish

__all__ = ["team_pods"]

HELLO = REPOSITORY / "dags" / "hello_team.py"


@pytest.fixture(autouse=True)
def contract(publish: Publish) -> None:
    """Publish a contract before the fixture ``team_pods`` reads it."""
    publish()


def test_fixture_renders_the_pod_of_a_task(team_pods: TeamPods) -> None:
    pod = team_pods.render(HELLO, "hello")
    assert (pod["metadata"]["namespace"], pod["metadata"]["labels"]["run_id"]) == ("team-alpha", "test")
    assert [container["name"] for container in pod["spec"]["containers"]] == ["base"]


def test_refused_pod_and_unknown_task_raise(team_pods: TeamPods, tmp_path: Path, offline_in_process: None) -> None:
    file = tmp_path / "alpha" / "dag.py"
    file.parent.mkdir()
    file.write_text(
        "from airflow.sdk import DAG\nfrom kpo_platform import TeamPodOperator\n"
        "with DAG('d', schedule=None):\n"
        "    TeamPodOperator(task_id='t', image='x:{{ params.tag }}', params={'tag': 1})\n"
    )
    assert team_pods.render(file, "t", params={"tag": "7"})["spec"]["containers"][0]["image"] == "x:7"
    with pytest.raises(PodError, match="has no fixed version, which team 'alpha' requires"):
        team_pods.render(file, "t", params={"tag": "latest"})
    with pytest.raises(TaskError, match="Did you mean 't'"):
        team_pods.render(file, "tt")
