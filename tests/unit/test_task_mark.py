"""pod.task_mark: which task a running pod belongs to."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kpo_platform.pod.summary import summarize_pod
from kpo_platform.pod.task_mark import INSTALLATION, ON_STOP, TASK, MarkedTask, find_task_of_pod
from unit.support.contracts import build_contract
from unit.support.pod_statuses import RUNNING, pod
from unit.support.task_restarts import TaskProcess

TASK_OF_RUN = MarkedTask("nightly", "manual__2026-11-30T09:00:00+00:00", "group.load", 3)
RELEASE = "airflow/airflow"
VALID = '{"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": -1}'


def annotate(**annotations: Any) -> dict[str, Any]:
    return {"metadata": {"annotations": annotations}}


def test_marks_name_the_task_as_airflow_does():
    marks = TASK_OF_RUN.build_marks(build_contract(), keeps_on_stop=False)
    assert marks.keys() == {INSTALLATION, TASK}
    assert find_task_of_pod(annotate(**marks), marks[INSTALLATION]) == TASK_OF_RUN


@pytest.mark.parametrize(
    "annotations",
    [
        {},
        {INSTALLATION: "other/airflow", TASK: '{"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": -1}'},
        {
            INSTALLATION: RELEASE,
            TASK: '{"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": -1}',
            ON_STOP: "keep",
        },
        {INSTALLATION: RELEASE},
        {INSTALLATION: RELEASE, TASK: "{"},
        {INSTALLATION: RELEASE, TASK: "[]"},
        {INSTALLATION: RELEASE, TASK: "[" * 100_000},
        {INSTALLATION: RELEASE, TASK: '{"a":' * 100_000},
        {INSTALLATION: RELEASE, TASK: "9" * 10_000},
        {INSTALLATION: RELEASE, TASK: VALID.replace("-1", "2147483648")},
        {INSTALLATION: RELEASE, TASK: VALID.replace("-1", "-2")},
        {INSTALLATION: RELEASE, TASK: VALID.replace('"r"', '"\\ud800"')},
        {INSTALLATION: RELEASE, TASK: VALID.replace('"r"', '"\\u0000"')},
        {INSTALLATION: RELEASE, TASK: VALID.replace('"r"', '""')},
        {INSTALLATION: RELEASE, TASK: VALID.replace('"r"', f'"{"r" * 251}"')},
        {INSTALLATION: ["x"], TASK: VALID},
        {INSTALLATION: RELEASE, TASK: VALID, ON_STOP: ""},
        {INSTALLATION: RELEASE, TASK: '{"dag_id": "d"}'},
        {INSTALLATION: RELEASE, TASK: '{"dag_id": 1, "run_id": "r", "task_id": "t", "map_index": -1}'},
        {INSTALLATION: RELEASE, TASK: '{"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": true}'},
    ],
)
def test_other_pods_belong_to_no_task(annotations: dict[str, str]):
    assert find_task_of_pod(annotate(**annotations), RELEASE) is None


@pytest.mark.parametrize(("on_kill_action", "keeps"), [("delete_pod", False), ("keep_pod", True)])
def test_pod_of_a_task_is_marked_when_it_starts(task_process: TaskProcess, on_kill_action: str, keeps: bool):
    task_process.arguments = {"deferrable": True, "on_kill_action": on_kill_action, "annotations": {"a": "b"}}
    task_process.pods.status = pod("Running", RUNNING)["status"]
    assert task_process.run() == "deferred"
    annotations = task_process.pods.pod["metadata"]["annotations"]
    assert (annotations["a"], ON_STOP in annotations) == ("b", keeps)
    assert json.loads(annotations[TASK]) == {"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": -1}


def test_pod_of_a_task_that_airflow_does_not_have_is_not_marked(task_process: TaskProcess):
    task_process.store = None
    task_process.arguments = {"deferrable": True}
    task_process.pods.status = pod("Running", RUNNING)["status"]
    assert task_process.run() == "deferred"
    assert TASK not in (task_process.pods.pod["metadata"].get("annotations") or {})


@pytest.mark.parametrize("name", ["a" * 250, "ü" * 250, "\N{GRINNING FACE}" * 250])
def test_mark_of_the_longest_names_is_in_the_summary_of_the_pod(name: str):
    task = MarkedTask(name, name, name, 2**31 - 1)
    marks = task.build_marks(build_contract(), keeps_on_stop=False)
    assert find_task_of_pod(summarize_pod(annotate(**marks)), RELEASE) == task


def test_mark_that_keeps_a_pod_keeps_it_whatever_its_value_is():
    marks = TASK_OF_RUN.build_marks(build_contract(), keeps_on_stop=False)
    summary = summarize_pod(annotate(**marks, **{ON_STOP: "x" * 200_000}))
    assert find_task_of_pod(summary, RELEASE) is None
