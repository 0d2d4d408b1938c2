"""pod.summary: the part of a pod that tells its state."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from airflow.providers.cncf.kubernetes.pod_generator import PodGenerator
from hypothesis import given

from kpo_platform.pod.identity import START_LABEL
from kpo_platform.pod.state import PodState, parse_pod_state
from kpo_platform.pod.summary import summarize_pod
from kpo_platform.pod.task_mark import LONGEST_MARKS
from unit.support.any_json import damage
from unit.support.pod_statuses import RUNNING, WAITING, ended, pod

FULL = pod(
    "Running",
    ended(0, message='{"rows": 3}', containerID="containerd://a"),
    init=ended(0),
    sidecar=RUNNING,
    aside=WAITING,
    deleted=True,
    deadline_s=600,
)
FULL["metadata"]["labels"] = {START_LABEL: "a1", "dag_id": "d"}
FULL["spec"]["containers"][0] |= {
    "terminationMessagePath": "/airflow/xcom/return.json",
    "resources": {"limits": {"memory": "1Gi", "cpu": "1"}},
    "env": [{"name": "SECRET", "value": "hidden"}],
}


def parse_with_start_label(found: Any) -> PodState:
    state = parse_pod_state(found)
    return replace(state, labels={key: value for key, value in state.labels.items() if key == START_LABEL})


@given(damage(FULL))
def test_summary_has_the_state_of_its_pod(found: Any):
    assert parse_pod_state(summarize_pod(found)) == parse_with_start_label(found)


def test_summary_is_a_pod_without_the_values_of_its_environment():
    summary = summarize_pod(FULL, ("dag_id",))
    model = PodGenerator.deserialize_model_dict(summary)
    assert (model.metadata.labels, model.status.phase) == ({"dag_id": "d"}, "Running")
    assert "hidden" not in json.dumps(summary)


def test_summary_of_large_annotations_is_small():
    """An account that may write to a team's pods must not fill the triggerer's memory."""
    annotations = {**dict.fromkeys(LONGEST_MARKS, "x" * 200_000), "other": "x" * 200_000}
    summary = summarize_pod({**FULL, "metadata": {**FULL["metadata"], "annotations": annotations}})
    assert len(json.dumps(summary)) < 16_000


@pytest.mark.parametrize("found", [None, [], {"metadata": 1, "spec": "x", "status": []}])
def test_summary_of_what_is_no_pod_is_empty(found: Any):
    assert summarize_pod(found) == {"metadata": {}, "spec": {}, "status": {}}
