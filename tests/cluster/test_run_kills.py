"""Tasks killed by SIGTERM and SIGKILL at every phase of their run: no work is lost, none is done twice."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from faults.kills import FILE, Tally, kill_every_task
from faults.scene import Scene, open_scene
from stack.airflow_api import AirflowApi
from stack.release import Stack

KILLS = 68
"""17 phases, two signals, each twice."""


@pytest.fixture(scope="module")
def scene(stack: Stack, airflow: AirflowApi) -> Iterator[Scene]:
    with open_scene(stack, airflow, (FILE,)) as opened:
        yield opened


def test_killed_tasks_neither_lose_nor_repeat_their_work(scene: Scene):
    assert kill_every_task(scene) == Tally(KILLS, failed={}, lost=[], doubled=[], missed={})
