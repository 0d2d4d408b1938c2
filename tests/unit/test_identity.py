"""Labels and variables of a task run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kpo_platform.pod.identity import TaskRun, add_run_identity, to_label_value
from unit.support.contracts import build_contract

TRACE = "0af7651916cd43dd8448eb211c80319c"
RUN = TaskRun("nightly", "manual__1", "load", -1, 2, "data-team", f"00-{TRACE}-b7ad6b7169203331-01")
POD: dict[str, Any] = {
    "metadata": {"labels": {"kpo-platform/team": "alpha"}},
    "spec": {"containers": [{"name": "base", "env": [{"name": "A", "value": "1"}]}, {"name": "other"}]},
}


def test_pod_has_labels_owner_cost_center_and_trace():
    pod = add_run_identity(POD, "alpha", build_contract().team("alpha"), RUN)
    assert pod["metadata"]["labels"] == {
        "kpo-platform/team": "alpha",
        "owner": "data-team",
        "cost-center": "cc-1",
        "trace-id": TRACE,
    }


def test_containers_get_trace_idempotency_key_and_try_number():
    base, other = add_run_identity(POD, "alpha", build_contract().team("alpha"), RUN)["spec"]["containers"]
    added = [
        {"name": "TRACEPARENT", "value": f"00-{TRACE}-b7ad6b7169203331-01"},
        {"name": "KPO_IDEMPOTENCY_KEY", "value": RUN.idempotency_key},
        {"name": "KPO_TRY_NUMBER", "value": "2"},
    ]
    assert (base["env"], other["env"]) == ([{"name": "A", "value": "1"}, *added], added)


def test_labels_and_variables_of_the_author_are_kept():
    env = [{"name": "TRACEPARENT", "value": "mine"}]
    pod = {"metadata": {"labels": {"owner": "me"}}, "spec": {"containers": [{"name": "base", "env": env}]}}
    identified_pod = add_run_identity(pod, "alpha", build_contract().team("alpha"), RUN)
    variables = {variable["name"]: variable["value"] for variable in identified_pod["spec"]["containers"][0]["env"]}
    assert (identified_pod["metadata"]["labels"]["owner"], variables["TRACEPARENT"]) == ("me", "mine")


def test_team_name_is_the_default_owner_and_cost_center():
    run = replace(RUN, owner="airflow")
    labels = add_run_identity(POD, "alpha", build_contract(labels={}).team("alpha"), run)["metadata"]["labels"]
    assert (labels["owner"], labels["cost-center"]) == ("alpha", "alpha")


@pytest.mark.parametrize(
    ("text", "value"),
    [("Data Team", "Data_Team"), ("me@example.com", "me_example.com"), ("x" * 70, "x" * 63), ("(ops)", "ops")],
)
def test_text_is_converted_to_a_valid_label_value(text: str, value: str):
    assert to_label_value(text) == value


def test_idempotency_key_is_equal_for_all_tries_of_a_task_only():
    others = {"dag_id": "x", "run_id": "x", "task_id": "x", "map_index": 3}
    keys = {replace(RUN, **{field: value}).idempotency_key for field, value in others.items()}
    assert replace(RUN, try_number=9).idempotency_key == RUN.idempotency_key
    assert len(keys - {RUN.idempotency_key}) == 4


def test_trace_without_one_from_airflow_is_shared_by_the_run():
    run, other = replace(RUN, traceparent=""), replace(RUN, traceparent="", task_id="other")
    assert run.trace_context == replace(run).trace_context
    assert (run.trace_id, run.trace_context) != (TRACE, other.trace_context)
    assert run.trace_id == other.trace_id
    assert run.trace_context.startswith(f"00-{run.trace_id}-")
    assert run.trace_context.endswith("-00")
