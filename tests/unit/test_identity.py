"""What a pod carries of the run that it works for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kpo_platform.pod.identity import TaskRun, add_run_identity, to_label_value
from unit.support.contracts import contract

TRACE = "0af7651916cd43dd8448eb211c80319c"
RUN = TaskRun("nightly", "manual__1", "load", -1, 2, "data-team", f"00-{TRACE}-b7ad6b7169203331-01")
POD: dict[str, Any] = {
    "metadata": {"labels": {"kpo-platform/team": "alpha"}},
    "spec": {"containers": [{"name": "base", "env": [{"name": "A", "value": "1"}]}, {"name": "other"}]},
}


def test_a_pod_carries_owner_cost_center_and_trace_beside_the_labels_that_it_had():
    pod = add_run_identity(POD, "alpha", contract().team("alpha"), RUN)
    assert pod["metadata"]["labels"] == {
        "kpo-platform/team": "alpha",
        "owner": "data-team",
        "cost-center": "cc-1",
        "trace-id": TRACE,
    }


def test_every_container_knows_trace_idempotency_key_and_try_and_keeps_its_own_variables():
    base, other = add_run_identity(POD, "alpha", contract().team("alpha"), RUN)["spec"]["containers"]
    added = [
        {"name": "TRACEPARENT", "value": f"00-{TRACE}-b7ad6b7169203331-01"},
        {"name": "KPO_IDEMPOTENCY_KEY", "value": RUN.idempotency_key},
        {"name": "KPO_TRY_NUMBER", "value": "2"},
    ]
    assert (base["env"], other["env"]) == ([{"name": "A", "value": "1"}, *added], added)


def test_labels_and_variables_of_the_author_stay():
    env = [{"name": "TRACEPARENT", "value": "mine"}]
    pod = {"metadata": {"labels": {"owner": "me"}}, "spec": {"containers": [{"name": "base", "env": env}]}}
    marked = add_run_identity(pod, "alpha", contract().team("alpha"), RUN)
    variables = {one["name"]: one["value"] for one in marked["spec"]["containers"][0]["env"]}
    assert (marked["metadata"]["labels"]["owner"], variables["TRACEPARENT"]) == ("me", "mine")


def test_the_teams_name_stands_in_for_an_owner_and_a_cost_center_that_nobody_named():
    run = replace(RUN, owner="airflow")
    labels = add_run_identity(POD, "alpha", contract(labels={}).team("alpha"), run)["metadata"]["labels"]
    assert (labels["owner"], labels["cost-center"]) == ("alpha", "alpha")


@pytest.mark.parametrize(
    ("text", "value"),
    [("Data Team", "Data_Team"), ("me@example.com", "me_example.com"), ("x" * 70, "x" * 63), ("(ops)", "ops")],
)
def test_a_label_has_a_value_that_kubernetes_takes(text: str, value: str):
    assert to_label_value(text) == value


def test_the_idempotency_key_is_the_same_for_every_try_and_another_for_any_other_work():
    others = {"dag_id": "x", "run_id": "x", "task_id": "x", "map_index": 3}
    keys = {replace(RUN, **{field: value}).idempotency_key for field, value in others.items()}
    assert replace(RUN, try_number=9).idempotency_key == RUN.idempotency_key
    assert len(keys - {RUN.idempotency_key}) == 4


def test_without_a_trace_of_airflows_one_is_derived_that_all_tasks_of_the_run_share():
    run, other = replace(RUN, traceparent=""), replace(RUN, traceparent="", task_id="other")
    assert run.trace_context == replace(run).trace_context
    assert (run.trace_id, run.trace_context) != (TRACE, other.trace_context)
    assert run.trace_id == other.trace_id
    assert run.trace_context.startswith(f"00-{run.trace_id}-")
    assert run.trace_context.endswith("-00")
