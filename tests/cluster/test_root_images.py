"""Images built for root: as another user under restricted, as root under baseline."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from common.command import capture_output
from common.paths import REPOSITORY
from images.build import build_images
from images.recipes import AWS_CLI
from local_cluster import cluster
from stack.release import Stack
from stack.team_release import install_team_release

RUN_TASK = REPOSITORY / "scripts" / "run-task"
FILES = Path(__file__).parent / "files"
RELEASE = "root-images"
VALUES = {"teams": {"old": {"podSecurity": "baseline"}}}


@pytest.fixture(scope="module", autouse=True)
def aws_cli(stack: Stack) -> None:
    """Load the image that only this group uses."""
    cluster.load(build_images(print, [AWS_CLI.name]).values(), print)


@pytest.fixture
def baseline_team(stack: Stack) -> Iterator[None]:
    """A team `old` whose namespace allows root, in a release of its own."""
    with install_team_release(stack, RELEASE, VALUES):
        yield


def run_task(dag: str, task: str, *options: str) -> Any:
    output = capture_output([RUN_TASK, FILES / dag, task, *options, "-o", "json"], timeout_s=180)
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
    assert (level, run_task("root.py", "root", "--namespace", RELEASE)) == ("baseline", {"uid": 0, "owner": "1234"})
