"""Images built for root work in a team's pods: under restricted as another user, under baseline as root."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from common.command import capture_output
from common.paths import REPOSITORY
from common.steps import Steps
from images.build import build_images
from images.recipes import AWS_CLI
from local_cluster import cluster
from stack.install import install_release
from stack.release import Stack

RUN_TASK = REPOSITORY / "scripts" / "run-task"
FILES = Path(__file__).parent / "files"
OLD: dict[str, Any] = {"podSecurity": "baseline", "volumes": []}


@pytest.fixture(scope="module", autouse=True)
def aws_cli(stack: Stack) -> None:
    """The node has the image that only this group needs."""
    cluster.load(build_images(print, [AWS_CLI.name]).values(), print)


@pytest.fixture
def team_of_old_images(stack: Stack, tmp_path: Path) -> Iterator[None]:
    """A team `old` whose namespace admits root."""
    values = tmp_path / "old.yaml"
    values.write_text(yaml.safe_dump({"teams": {"old": OLD}}))
    try:
        install_release(Steps(), stack, values)
        yield
    finally:
        install_release(Steps(), stack)
        stack.kubectl("delete", "namespace", "team-old", "--ignore-not-found", timeout_s=120)


def result_of(dag: str, task: str) -> Any:
    output = capture_output([RUN_TASK, FILES / dag, task, "-o", "json"], timeout_s=180)
    return json.loads(output[output.index("{\n") :])["result"]


@pytest.mark.parametrize(
    ("task", "found"),
    [
        ("busybox", {"uid": 50000, "home": "/work", "user": "task", "note": "written"}),
        ("aws", {"program": "aws-cli", "region": "eu-central-1", "file": "[default]"}),
        ("git", {"copy": "first", "volume": "second first "}),
    ],
)
def test_a_program_of_a_root_built_image_does_its_work(task: str, found: dict[str, Any]):
    assert result_of("root_images.py", task) == found


@pytest.mark.usefixtures("team_of_old_images")
def test_a_task_of_a_team_under_baseline_is_root_when_it_says_so(stack: Stack):
    level = stack.get("namespace", "team-old")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
    assert (level, result_of("root.py", "root")) == ("baseline", {"uid": 0, "owner": "1234"})
