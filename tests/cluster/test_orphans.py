"""Pods of tasks that were stopped while no triggerer ran: reported or deleted, by policy.

The triggerer looks every five minutes, and believes what it has seen twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import quote

import pytest

from cluster.support.airflow_runs.dag_run import DAGS, Run
from common.polling import NotYet, wait_for
from common.steps import Steps
from stack.airflow_api import AirflowApi
from stack.embedded_database import query_database
from stack.git_push import push_files
from stack.install import changed_release
from stack.release import NAMESPACE, RELEASE, Stack

TRIGGERER = f"{RELEASE}-triggerer"
POLICIES = {"alpha": "end", "beta": "report"}
LOOKS_S = 900
"""Two looks, and the start of the triggerer."""


@dataclass(frozen=True)
class StoppedRuns:
    """A run of each team, of which three tasks were stopped while no triggerer ran; only `taken` still had its trigger.

    Attributes:
        runs: team → its run.
        log: the triggerer's log after it has seen the orphans twice.
    """

    runs: dict[str, Run]
    log: str


@pytest.fixture(scope="module")
def stopped(stack: Stack, airflow: AirflowApi) -> Iterator[StoppedRuns]:
    """The runs; afterwards the release has its own values again, and no pod of them runs."""
    values = {"teams": {team: {"policy": {"orphans": policy}} for team, policy in POLICIES.items()}}
    with changed_release(Steps(), stack, values):
        for team in POLICIES:
            push_dags(stack, airflow, team)
        runs = {team: start_run(stack, airflow, team) for team in POLICIES}
        try:
            for run in runs.values():
                wait_until_deferred(run)
            with without_triggerer(stack):
                for run in runs.values():
                    run.mark_failed("stopped")
                    run.mark_failed("kept")
                remove_unused_triggers(stack)
                for run in runs.values():
                    run.mark_failed("taken")
            yield StoppedRuns(runs, wait_for_looks(stack))
        finally:
            for run in runs.values():
                airflow.patch(f"dags/{run.dag}/dagRuns/{quote(run.id)}", {"state": "failed"})
                run.stack.kubectl("delete", "pods", "-n", run.namespace, "-l", f"dag_id={run.dag}", "--wait=false")


def push_dags(stack: Stack, airflow: AirflowApi, team: str) -> None:
    content = (DAGS / "orphans.py").read_text(encoding="utf-8").replace('TEAM = "alpha"', f'TEAM = "{team}"')
    url = f"git://{stack.service_address('git-server', 'git')}/{team}.git"
    airflow.wait_for_version(f"orphans_{team}", push_files(url, {"orphans.py": content}, "Add orphans.py"))


def start_run(stack: Stack, airflow: AirflowApi, team: str) -> Run:
    dag = f"orphans_{team}"
    return Run(stack, airflow, dag, airflow.trigger_run(dag), namespace=f"team-{team}")


def find_running(run: Run) -> set[str]:
    """Return the tasks whose pods run."""
    pods = [pod for pod in run.list_pods() if pod["status"].get("phase") == "Running"]
    return {str(pod["metadata"]["labels"]["task_id"]) for pod in pods}


def wait_until_deferred(run: Run) -> None:
    def probe() -> None:
        states = run.task_states()
        if set(states.values()) != {"deferred"} or len(find_running(run)) != len(states):
            raise NotYet(f"tasks {states}, running {find_running(run)}")

    wait_for(f"the tasks of {run.dag} to be deferred", probe, deadline_s=300, interval_s=2)


@contextmanager
def without_triggerer(stack: Stack) -> Iterator[None]:
    """Run no triggerer during the block."""
    scale = ("scale", "statefulset", TRIGGERER, "-n", NAMESPACE)
    stack.kubectl(*scale, "--replicas=0")
    stack.kubectl("wait", "pod", f"{TRIGGERER}-0", "-n", NAMESPACE, "--for=delete", "--timeout=180s", timeout_s=190)
    try:
        yield
    finally:
        stack.kubectl(*scale, "--replicas=1")
        rollout = ("rollout", "status", f"statefulset/{TRIGGERER}", "-n", NAMESPACE, "--timeout=300s")
        stack.kubectl(*rollout, timeout_s=310)


def remove_unused_triggers(stack: Stack) -> None:
    """Remove the triggers of stopped tasks as a triggerer does that has not taken them yet (`Trigger.clean_unused`)."""
    query_database(stack, "UPDATE task_instance SET trigger_id = NULL WHERE state <> 'deferred'")
    unused = "NOT EXISTS (SELECT FROM task_instance WHERE trigger_id = trigger.id)"
    query_database(stack, f"DELETE FROM trigger WHERE classpath LIKE 'kpo_platform%' AND {unused}")


def wait_for_looks(stack: Stack) -> str:
    """Wait until the triggerer has named an orphan of each team, and return its log."""

    def probe() -> str:
        log = stack.kubectl("logs", "-n", NAMESPACE, f"{TRIGGERER}-0", "-c", "triggerer", "--tail=-1")
        if missing := [team for team in POLICIES if f"in namespace team-{team} runs, but its task" not in log]:
            raise NotYet(f"no line about {missing}; last lines: {log[-400:]}")
        return log

    return wait_for("the triggerer to name the orphans", probe, LOOKS_S, interval_s=5)


def wait_for_running(run: Run, expected: set[str]) -> None:
    def probe() -> None:
        if (found := find_running(run)) != expected:
            raise NotYet(f"running: {found}")

    wait_for(f"the pods of {sorted(expected)} alone to run", probe, deadline_s=60, interval_s=2)


def test_triggerer_that_starts_ends_the_pod_of_a_task_that_was_stopped_before(stopped: StoppedRuns):
    assert "taken" not in find_running(stopped.runs["beta"])
    assert "taken (run" not in stopped.log


def test_policy_end_deletes_the_pod_of_the_stopped_task_only(stopped: StoppedRuns):
    wait_for_running(stopped.runs["alpha"], {"kept", "waiting"})


def test_policy_report_names_the_pod_and_leaves_it(stopped: StoppedRuns):
    run = stopped.runs["beta"]
    assert find_running(run) == {"stopped", "kept", "waiting"}
    (name,) = (pod["metadata"]["name"] for pod in run.list_pods() if pod["metadata"]["labels"]["task_id"] == "stopped")
    advice = "Delete the pod, or clear the task to continue with it."
    task = f"its task {run.dag}.stopped (run {run.id}) is over"
    assert f"Pod {name} in namespace team-beta runs, but {task}. {advice}" in stopped.log
    assert stopped.log.count(advice) == 1


def test_tasks_that_wait_are_still_deferred(stopped: StoppedRuns):
    states = {team: run.task_states()["waiting"] for team, run in stopped.runs.items()}
    assert states == {"alpha": "deferred", "beta": "deferred"}
