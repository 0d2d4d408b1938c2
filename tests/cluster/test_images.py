"""Images built for root work in a team's pods under restricted, by what the default template gives them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from common.paths import REPOSITORY
from common.run import capture
from images.build import build_all
from images.recipes import AWS_CLI
from local_cluster import cluster
from road.stack import Stack

RUN_TASK = REPOSITORY / "scripts" / "run-task"
DAG = Path(__file__).parent / "files" / "root_images.py"


@pytest.fixture(scope="module", autouse=True)
def aws_cli(stack: Stack) -> None:
    """The node has the image that only this group needs."""
    cluster.load(build_all(print, [AWS_CLI.name]).values(), print)


@pytest.mark.parametrize(
    ("task", "found"),
    [
        ("busybox", {"uid": 50000, "home": "/work", "user": "task", "note": "written"}),
        ("aws", {"program": "aws-cli", "region": "eu-central-1", "file": "[default]"}),
        ("git", {"copy": "first", "volume": "second first "}),
    ],
)
def test_a_program_of_a_root_built_image_does_its_work(stack: Stack, task: str, found: dict[str, Any]):
    output = capture([RUN_TASK, DAG, task, "-o", "json"], timeout_s=180)
    assert json.loads(output[output.index("{\n") :])["result"] == found
