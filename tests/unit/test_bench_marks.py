"""The marks of a task's run that scripts/bench sync measures, and the stages between them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from benchmarks.sync.marks import (
    STAGES,
    build_sample,
    list_pod_marks,
    measure_span,
    measure_stages,
    parse_time,
    read_api_marks,
    read_log_marks,
)
from benchmarks.sync.pod_times import PodTimes
from common.errors import ScriptError

START = parse_time("2026-11-30T01:39:30Z")
LOG: tuple[dict[str, Any], ...] = (
    {"timestamp": "2026-11-30T01:39:30.600000Z", "event": "::group::Pre Execute", "logger": "task"},
    {"timestamp": "2026-11-30T01:39:31.500000Z", "event": "Worker startup parse complete", "dag_file_parse_ms": 700},
    {"timestamp": "2026-11-30T01:39:31.600000Z", "event": "::endgroup::", "logger": "task"},
    {"timestamp": "2026-11-30T01:39:32.000000Z", "event": "::endgroup::", "logger": "airflow.task.operators"},
    {"timestamp": "2026-11-30T01:39:34.250000Z", "event": "::group::Post Execute", "logger": "task"},
    {"timestamp": "2026-11-30T01:39:34.500000Z", "event": "::endgroup::", "logger": "task"},
)
IN_LOG = {"opened": 0.8, "parsed": 1.5, "entered": 1.6, "returned": 4.25}


def build_pod(phase: str, uid: str = "u", task: str = "work", **states: Any) -> dict[str, Any]:
    statuses = [{"name": name, "state": state} for name, state in states.items()]
    labels = {"run_id": "sync-1", "task_id": task}
    metadata = {"name": f"{task}-1", "uid": uid, "labels": labels}
    return {"metadata": metadata, "status": {"phase": phase, "containerStatuses": statuses}}


def test_log_shows_import_and_execute_by_the_groups_of_airflow_itself():
    marks = read_log_marks(json.dumps(line) for line in LOG)
    assert build_sample(START, marks) == IN_LOG


def test_line_of_the_program_that_names_a_group_is_no_mark():
    line = {"timestamp": LOG[0]["timestamp"], "event": "[base] ::group::Post Execute", "logger": "task"}
    assert read_log_marks([json.dumps(line)]) == {}


def test_api_shows_queue_start_and_ends():
    instance = {
        "queued_when": "2026-11-30T01:39:30.5Z",
        "start_date": "2026-11-30T01:39:30.6Z",
        "end_date": "2026-11-30T01:39:34.4Z",
    }
    marks = read_api_marks({"end_date": "2026-11-30T01:39:35Z"}, instance)
    assert build_sample(START, marks) == {"queued": 0.5, "started": 0.6, "finished": 4.4, "marked": 5.0}


@pytest.mark.parametrize(
    ("pod", "marks"),
    [
        ({"metadata": {}}, ["created"]),
        (build_pod("Pending", base={"waiting": {}}), ["created"]),
        (build_pod("Running", base={"running": {}}, sidecar={"terminated": {}}), ["created", "running"]),
        (build_pod("Running", base={"terminated": {}}, sidecar={"running": {}}), ["created", "running", "ended"]),
    ],
)
def test_pod_has_the_marks_of_its_base_container(pod: dict[str, Any], marks: list[str]):
    assert list_pod_marks(pod) == marks


def test_each_mark_of_a_pod_has_the_time_of_its_first_state():
    pods = PodTimes(iter((1.0, 2.0, 3.0, 4.0, 5.0)).__next__)
    pods.add(build_pod("Pending"))
    pods.add(build_pod("Pending", base={"waiting": {}}))
    pods.add(build_pod("Running", uid="other", task="other", base={"running": {}}))
    pods.add(build_pod("Succeeded", base={"terminated": {}}))  # the kubelet has not reported it as running
    pods.add(build_pod("Succeeded", base={"terminated": {}}))
    assert pods.read_marks("sync-1", "work") == {"created": 1.0, "running": 4.0, "ended": 4.0}


def test_second_pod_of_a_task_is_an_error():
    pods = PodTimes()
    for uid in "ab":
        pods.add(build_pod("Running", uid=uid))
    with pytest.raises(ScriptError, match=r"^Task work of run sync-1 had 2 pods\. "):
        pods.read_marks("sync-1", "work")


def test_stages_lead_from_the_trigger_to_the_marked_run_without_a_gap():
    marks = list(STAGES.values())
    assert (marks[0][0], marks[-1][1]) == ("triggered", "marked")
    assert [last for _, last in marks[:-1]] == [first for first, _ in marks[1:]]


def test_stage_is_the_median_of_the_samples_that_have_it():
    samples = [{"queued": 0.5, "started": 0.6, "entered": 2.0}, {"queued": 1.5, "started": 1.8}, {"queued": 0.7}]
    stages = measure_stages(samples)
    assert {stage: round(seconds, 3) for stage, seconds in stages.items()} == {
        "trigger → queued": 0.7,
        "queued → worker starts": 0.2,
    }
    assert measure_span(samples[0], "entered", "returned") is None
