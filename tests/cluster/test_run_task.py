"""scripts/run-task: a task of the checkout runs on the cluster without Airflow's services."""

from __future__ import annotations

import json

import pytest

from common.command import CommandError, capture_output
from common.paths import REPOSITORY
from stack.release import Stack

RUN_TASK = REPOSITORY / "scripts" / "run-task"
SAMPLE = REPOSITORY / "dags" / "hello_team.py"


def test_task_runs_in_a_real_pod_and_returns_its_result(stack: Stack):
    output = capture_output([RUN_TASK, SAMPLE, "hello", "-o", "json"], timeout_s=120)
    outcome = json.loads(output[output.index("{\n") :])
    name = outcome["pod"]["name"]
    assert outcome == {
        "pod": {"namespace": "team-alpha", "name": name},
        "state": "success",
        "why": "",
        "result": {"answer": 42, "from": name},
    }


def test_unknown_task_is_refused_with_a_suggestion(stack: Stack):
    with pytest.raises(CommandError) as error:
        capture_output([RUN_TASK, SAMPLE, "helo"], timeout_s=120)
    assert error.value.code == 64
    assert "has no task 'helo' that creates a pod. Did you mean 'hello'?" in error.value.output
