"""Images built for root: as another user under restricted, as root under baseline."""

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
TEAM_VALUES: dict[str, Any] = {"podSecurity": "baseline", "volumes": []}


@pytest.fixture(scope="module", autouse=True)
def aws_cli(stack: Stack) -> None:
    """Load the image that only this group uses."""
    cluster.load(build_images(print, [AWS_CLI.name]).values(), print)


@pytest.fixture
def baseline_team(stack: Stack, tmp_path: Path) -> Iterator[None]:
    """A team `old` whose namespace allows root."""
    values = tmp_path / "old.yaml"
    values.write_text(yaml.safe_dump({"teams": {"old": TEAM_VALUES}}))
    try:
        install_release(Steps(), stack, values)
        yield
    finally:
        install_release(Steps(), stack)
        stack.kubectl("delete", "namespace", "team-old", "--ignore-not-found", timeout_s=120)


def run_task(dag: str, task: str) -> Any:
    output = capture_output([RUN_TASK, FILES / dag, task, "-o", "json"], timeout_s=180)
    return json.loads(output[output.index("{\n") :])["result"]


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ("busybox", {"uid": 50000, "home": "/work", "user": "task", "note": "written"}),
        ("aws", {"program": "aws-cli", "region": "eu-central-1", "file": "[default]"}),
        ("git", {"copy": "first", "volume": "second first "}),
    ],
)
def test_program_of_a_root_image_works_under_restricted(task: str, expected: dict[str, Any]):
    assert run_task("root_images.py", task) == expected


@pytest.mark.usefixtures("baseline_team")
def test_task_under_baseline_runs_as_root_on_request(stack: Stack):
    level = stack.get("namespace", "team-old")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
    assert (level, run_task("root.py", "root")) == ("baseline", {"uid": 0, "owner": "1234"})
