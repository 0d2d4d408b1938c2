"""Results as termination messages: what the kubelet reports of many contents, and what a task makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from cluster.support.airflow_runs.dag_run import Run, push_dag
from faults.messages import Report, report_batch
from kpo_platform.pod.message_result import count_bytes
from stack.airflow_api import AirflowApi, NotFoundError
from stack.pod_watch import ObservedPods, watch_pods
from stack.release import Stack

BATCHES = 5
RESULTS = 210
SEED = 19

WHOLE = {
    **{f"one_{size}": size for size in (4094, 4095)},
    **{f"four_{size}": size for size in (3070, 3071)},
    "wide_whole": 4094,
    "deferred_whole": 4095,
    "large": 9000,
}
"""Tasks whose result is taken, with its size in bytes."""

CUT = {
    **dict.fromkeys(("one_4096", "one_4097", "wide_cut", "deferred_cut"), "4,095"),
    **dict.fromkeys(("four_3072", "four_3073"), "3,071"),
}
"""Tasks whose result is too large, with the bytes that their pods can report."""

FAILED = ("broken", "partial", "moved", "beside")


@pytest.fixture(scope="module")
def reports(stack: Stack, namespace_factory: Any) -> list[Report]:
    """What the kubelet has reported of the messages of many containers."""
    namespace = str(namespace_factory("results").name)
    stack.kubectl("wait", "--for=create", "serviceaccount/default", "-n", namespace, "--timeout=60s", timeout_s=70)
    random = Random(SEED)
    return [report for number in range(BATCHES) for report in report_batch(stack, namespace, number, random)]


@pytest.fixture(scope="module")
def observed(stack: Stack) -> Iterator[ObservedPods]:
    with watch_pods(stack) as pods:
        yield pods


@pytest.fixture(scope="module")
def run(stack: Stack, airflow: AirflowApi, observed: ObservedPods) -> Run:
    """A finished run of the DAG."""
    push_dag(stack, airflow, "alpha", "results.py", "results")
    run = Run(stack, airflow, "results", airflow.trigger_run("results"))
    airflow.wait_for_run(run.dag, run.id, deadline_s=600)
    return run


def test_contents_are_on_both_sides_of_the_limits(reports: list[Report]):
    distances = {len(report.content) - report.limit for report in reports}
    assert (len(reports), {-1, 0, 1} <= distances) == (RESULTS, True)


def test_cut_result_is_never_taken_and_a_whole_one_always(reports: list[Report]):
    assert [report for report in reports if report.is_false] == []


def test_tasks_end_as_their_results_are_whole_or_cut(run: Run):
    ended = {task["task_id"]: (task["state"], task["try_number"]) for task in _list_tasks(run)}
    expected = {**dict.fromkeys((*WHOLE, "empty"), "success"), **dict.fromkeys((*CUT, *FAILED), "failed")}
    assert ended == {task: (state, 1) for task, state in expected.items()}


def test_whole_result_is_the_tasks_xcom_and_its_size_is_logged(run: Run):
    sizes = {task: count_bytes(run.airflow.read_xcom(run.dag, run.id, task)) + 2 for task in WHOLE}
    logged = {task: f"The result has {size} bytes." in run.read_log(task) for task, size in WHOLE.items()}
    assert (sizes, logged) == (WHOLE, dict.fromkeys(WHOLE, True))


@pytest.mark.parametrize("task", [*CUT, *FAILED, "empty"])
def test_other_task_has_no_xcom(task: str, run: Run):
    with pytest.raises(NotFoundError):
        run.airflow.read_xcom(run.dag, run.id, task)


@pytest.mark.parametrize(("task", "size"), CUT.items())
def test_cut_result_is_told_with_the_way_out(task: str, size: str, run: Run):
    log = run.read_log(task)
    assert f"its result is larger than the {size} bytes that its pod can report. " in log
    assert 'Set xcom="sidecar", or write it to a volume or to object storage and return its path. ' in log


def test_part_of_a_result_is_not_shown(run: Run):
    log = run.read_log("partial")
    assert ("The program failed with exit code 3" in log, "xxxx" in log) == (True, False)


def test_result_that_is_not_json_is_told(run: Run):
    assert "The program succeeded, but its result is not JSON" in run.read_log("broken")


def test_empty_file_is_told(run: Run):
    log = run.read_log("empty")
    assert "its result is empty: /airflow/xcom/return.json does not exist or has no content" in log


@pytest.mark.parametrize("task", ["moved", "beside"])
def test_other_file_cannot_take_the_place_of_the_result(task: str, run: Run):
    log = run.read_log(task)
    assert any(words in log for words in ("Permission denied", "Device or resource busy")), log[-2000:]


def test_only_the_large_result_has_a_sidecar(run: Run, observed: ObservedPods):
    containers = {
        pod["metadata"]["labels"]["task_id"]: [each["name"] for each in pod["spec"]["containers"]]
        for pod in observed.with_labels(dag_id="results")
    }
    assert sorted(containers) == sorted([*WHOLE, *CUT, *FAILED, "empty"])
    with_sidecar = [task for task, names in containers.items() if "airflow-xcom-sidecar" in names]
    assert with_sidecar == ["large"]


def _list_tasks(run: Run) -> list[dict[str, Any]]:
    return run.airflow.list_task_instances(run.dag, run.id)
