"""Outages of the Kubernetes API: tasks wait, and pods keep running.

In each outage some tasks start, some run, and some end with a result, in a worker and deferred. A stock trigger gives
up after about 49 s, so the longer outages also reach the re-entry.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from faults.cases import DONE
from faults.logged_lines import LineFaults, find_line_faults
from faults.outages import OUTAGES, RESULT, RUNS, endure_outage
from faults.scene import TASKS, Scene, open_scene
from stack.airflow_api import AirflowApi
from stack.release import Stack


@pytest.fixture(scope="module")
def scene(stack: Stack, airflow: AirflowApi) -> Iterator[Scene]:
    with open_scene(stack, airflow, ("run_cases.py",)) as opened:
        yield opened


@pytest.mark.parametrize("name", OUTAGES)
def test_outage_neither_fails_tasks_nor_repeats_their_work(scene: Scene, name: str):
    endured = endure_outage(scene, OUTAGES[name])
    expected = {f"{run}.{task}": DONE for run in RUNS for task in TASKS}
    assert endured.outcomes == expected, "\n\n".join(
        f"{task}: {endured.logs[task][-3000:]}" for task, outcome in endured.outcomes.items() if outcome != DONE
    )
    assert endured.results == dict.fromkeys(TASKS, RESULT)
    assert {task: find_line_faults(endured.logs[f"runs.{task}"]) for task in TASKS} == dict.fromkeys(
        TASKS, LineFaults()
    )
