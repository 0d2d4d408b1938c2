"""What a task says about its pod that does not start, has failed or has no result: in a worker, and deferred."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from cluster.support.airflow_runs.dag_run import Run, push_dag
from common.polling import NotYet, wait_for
from common.steps import Steps
from stack.airflow_api import AirflowApi, NotFoundError
from stack.install import changed_release
from stack.release import Stack
from stack.shared_logs import VALUES, shared_log_claim

NAMESPACE = "team-alpha"
LATE = "late-settings"
MISSING = f'does not start yet: Secret "{LATE}" does not exist in {NAMESPACE}'
KINDS = ("sync", "deferred")

FAILURES: dict[str, tuple[str, str]] = {
    "secret": ("KPO-STA101", 'Secret "no-such-settings" does not exist in team-alpha'),
    "claim": ("KPO-VOL101", "no-such-claim"),
    "image": ("KPO-IMG102", "localhost/kpo-platform/no-such-image:1"),
    "node": ("KPO-SCH105", "kpo-platform.test/no-such-label"),
    "init": ("KPO-STA126", 'Init container "prepare" failed with exit code 4'),
    "command": ("KPO-STA114", "no-such-command"),
    "exit": ("KPO-END111", "ValueError: no such table"),
    "memory": ("KPO-END101", "64Mi"),
    "no_json": ("KPO-RES102", "is not JSON"),
}
"""Fault of a task → the code of its error, and what the error names."""

WAITS = ("secret", "claim", "node")
"""Faults of pods that might still start: the log says so before the task fails."""

SUCCESSES = ("late_secret", "no_result")
"""The Secret of the first is created while its pod waits."""


@pytest.fixture(scope="module")
def with_shared_logs(stack: Stack, airflow: AirflowApi) -> Iterator[None]:
    """The release with one log volume for all components: otherwise Airflow does not show the triggerer's lines."""
    with shared_log_claim(stack), changed_release(Steps(), stack, VALUES):
        push_dag(stack, airflow, "alpha", "task_diagnosis.py", "task_diagnosis")
        yield


@pytest.fixture(scope="module")
def run(with_shared_logs: None, stack: Stack, airflow: AirflowApi) -> Iterator[Run]:
    """A finished run of the DAG, in which one Secret was created while two pods waited for it."""
    run = Run(stack, airflow, "task_diagnosis", airflow.trigger_run("task_diagnosis"))
    wait_for("tasks that wait for a Secret", lambda: check_waiting_tasks(run), deadline_s=300, interval_s=1)
    stack.kubectl("create", "secret", "generic", LATE, "-n", NAMESPACE, "--from-literal=KEY=value")
    try:
        airflow.wait_for_run(run.dag, run.id, deadline_s=600)
        yield run
    finally:
        stack.kubectl("delete", "secret", LATE, "-n", NAMESPACE)


def check_waiting_tasks(run: Run) -> None:
    """Check that both tasks have told that they wait for the Secret that will be created."""
    for kind in KINDS:
        try:
            log = run.read_log(f"late_secret_{kind}")
        except NotFoundError:
            log = ""
        if MISSING not in log:
            raise NotYet(f"log of task late_secret_{kind}: {log[-500:]}, tasks {run.task_states()}")


def read_entries(run: Run, task: str) -> list[dict[str, Any]]:
    """Return the entries of a task's log."""
    path = f"dags/{run.dag}/dagRuns/{quote(run.id)}/taskInstances/{task}/logs/1?full_content=true&map_index=-1"
    return [entry for entry in run.airflow.get(path)["content"] if isinstance(entry, dict)]


def read_failure(run: Run, task: str) -> dict[str, Any]:
    """Return the first error in the log entry of a task's failure."""
    entries = [entry for entry in read_entries(run, task) if entry["event"] == "Task failed with exception"]
    assert len(entries) == 1, run.read_log(task)
    (error,) = entries[0]["error_detail"]
    assert isinstance(error, dict)
    return error


def test_tasks_end_as_their_faults_require(run: Run):
    expected = dict.fromkeys(FAILURES, "failed") | dict.fromkeys(SUCCESSES, "success")
    assert run.task_states() == {f"{name}_{kind}": state for name, state in expected.items() for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", FAILURES)
def test_error_says_cause_and_code_without_a_traceback(fault: str, kind: str, run: Run):
    code, words = FAILURES[fault]
    error = read_failure(run, f"{fault}_{kind}")
    first = error["exc_value"].splitlines()[0]
    assert (words in first, f"[{code}: docs/troubleshooting.md#{code.lower()}]" in first) == (True, True), first
    assert error["frames"] == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", WAITS)
def test_log_says_what_a_pod_waits_for(fault: str, kind: str, run: Run):
    _, words = FAILURES[fault]
    log = run.read_log(f"{fault}_{kind}")
    waits = [line for line in log.splitlines() if " does not start yet: " in line]
    assert any(words in line for line in waits), log


@pytest.mark.parametrize("kind", KINDS)
def test_empty_result_is_told(kind: str, run: Run):
    assert "The program succeeded, but its result is empty" in run.read_log(f"no_result_{kind}")
