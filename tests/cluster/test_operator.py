"""A team's pod outlives shutdowns and disruptions, waits for room, says whose it is, and stays only when asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from cluster.support.airflow_runs.dag_run import Run, push_dag
from common.polling import NotYet, wait_for
from stack.airflow_api import AirflowApi
from stack.pod_watch import watch_pods
from stack.release import Stack

KINDS = pytest.mark.parametrize("kind", ["deferrable", "sync"])

Start = Callable[[str], Run]


@pytest.fixture(scope="module")
def start(stack: Stack, airflow: AirflowApi) -> Iterator[Start]:
    """Start a run of one of the DAGs; the pods of all of them are removed at the end."""
    push_dag(stack, airflow, "alpha", "running_pods.py", "pods_marks")
    yield lambda name: Run(stack, airflow, f"pods_{name}", airflow.trigger_run(f"pods_{name}"))
    ours = "dag_id in (" + ",".join(f"pods_{name}" for name in _names()) + ")"
    stack.kubectl("delete", "pods", "-n", "team-alpha", "-l", ours, "--wait=false")


def _names() -> list[str]:
    named = ("shutdown", "late", "evicted", "stopped", "outlives")
    return ["keeps", *(f"{name}_{kind}" for name in named for kind in ("deferrable", "sync"))]


@pytest.fixture
def full_quota(stack: Stack) -> Iterator[Callable[[], None]]:
    """Team alpha's namespace has no room for pods, until the function that this gives is called."""
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "test-full", "namespace": "team-alpha"},
        "spec": {"hard": {"pods": "0"}},
    }
    stack.kubectl("apply", "-f", "-", stdin=json.dumps(quota))
    command = ("delete", "resourcequota", "-n", "team-alpha", "test-full", "--ignore-not-found")
    try:
        yield lambda: stack.kubectl(*command)
    finally:
        stack.kubectl(*command)


def test_every_pod_says_whose_it_is_and_every_try_has_the_same_idempotency_key(start: Start, stack: Stack):
    with watch_pods(stack) as seen:
        run = start("marks")
        assert run.wait_for_end() == "success"
        pods = [
            one
            for try_ in (1, 2)
            for one in seen.with_name(run.read_log(attempt=try_).split("Building pod ")[1].split()[0])
        ]
    environments = [_environment(run.read_log(attempt=attempt)) for attempt in (1, 2)]
    labels = [pod["metadata"]["labels"] for pod in pods]
    trace = environments[0]["TRACEPARENT"].split("-")[1]
    ours = ("kpo-platform/team", "owner", "cost-center", "trace-id", "dag_id", "task_id", "try_number")
    assert [{key: one[key] for key in ours} for one in labels] == [
        {
            "kpo-platform/team": "alpha",
            "owner": "data_team",
            "cost-center": "alpha",
            "trace-id": trace,
            "dag_id": "pods_marks",
            "task_id": "work",
            "try_number": attempt,
        }
        for attempt in ("1", "2")
    ]
    assert [one["KPO_TRY_NUMBER"] for one in environments] == ["1", "2"]
    assert environments[0]["KPO_IDEMPOTENCY_KEY"] == environments[1]["KPO_IDEMPOTENCY_KEY"]


def _environment(log: str) -> dict[str, str]:
    lines = (line.partition("] logs: ")[2] or line.partition("[base] ")[2] for line in log.splitlines())
    return dict(line.split("=", 1) for line in lines if "=" in line)


def test_a_failed_pod_that_stays_is_named_in_the_log_with_commands_that_work(start: Start, stack: Stack):
    run = start("keeps")
    assert run.wait_for_end() == "failed"
    (pod,) = run.list_pods()
    name = pod["metadata"]["name"]
    command = f"kubectl -n team-alpha logs {name} -c base"
    assert f"Pod {name} is kept in namespace team-alpha. Inspect it with `{command}`" in run.read_log()
    assert stack.kubectl(*command.split()[1:]) == "evidence\n"


@KINDS
def test_a_pod_behind_a_task_that_timed_out_is_ended_and_kept_with_its_log(start: Start, stack: Stack, kind: str):
    run = start(f"late_{kind}")
    assert run.wait_for_end() == "failed"
    (pod,) = run.list_pods()
    name = pod["metadata"]["name"]

    def ended() -> None:
        status = stack.get("pod", name, "-n", "team-alpha")["status"]
        if (status["phase"], status.get("reason")) != ("Failed", "DeadlineExceeded"):
            raise NotYet(str(status))

    wait_for("the kubelet to end the pod", ended, deadline_s=60)
    assert stack.kubectl("logs", "-n", "team-alpha", name, "-c", "base") == "evidence\n"
    assert f"Pod {name} is kept" in run.read_log()
    assert "returned a failure" not in run.read_log()


@KINDS
def test_an_evicted_pod_starts_again_and_uses_none_of_the_tasks_retries(start: Start, stack: Stack, kind: str):
    run = start(f"evicted_{kind}")
    evicted = run.wait_for_pod()
    _evict(stack, evicted["metadata"]["name"])
    run.wait_for_log("without using a retry")
    assert run.wait_for_pod()["metadata"]["uid"] != evicted["metadata"]["uid"]
    assert run.wait_for_end() == "success"
    task = run.task_instance()
    assert (task["state"], task["try_number"], task["max_tries"]) == ("success", 1, 0)
    assert "The pod was disrupted by the cluster (" in run.read_log()


def _evict(stack: Stack, name: str) -> None:
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": "team-alpha"}}
    path = f"/api/v1/namespaces/team-alpha/pods/{name}/eviction"
    stack.kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(eviction))


def test_a_shutdown_of_the_worker_leaves_the_pod_and_the_task_takes_it_up_again(start: Start, stack: Stack):
    run = start("shutdown_sync")
    before = run.wait_for_pod()
    run.wait_for_log("Pod has reached Running phase")
    process = run.airflow.read_xcom(run.dag, run.id, "work", "process")
    _scheduler(stack, "sh", "-c", f"kill -TERM {int(process)}")
    assert run.wait_for_end() == "success"
    (after,) = run.list_pods()
    log = run.read_log()
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert (run.task_instance()["try_number"], log.count("Building pod")) == (1, 2)
    assert f"The worker is shutting down: pod {before['metadata']['name']} is kept." in log
    assert f"Reattached to pod {before['metadata']['name']} of an earlier start of this task." in log


def test_a_restart_of_the_triggerer_leaves_the_pod_and_its_task(start: Start, stack: Stack):
    run = start("shutdown_deferrable")
    before = run.wait_for_pod()
    stack.kubectl("delete", "pod", "-n", "airflow", "airflow-triggerer-0", timeout_s=120)
    assert run.wait_for_end() == "success"
    (after,) = run.list_pods()
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert run.task_instance()["try_number"] == 1


def _scheduler(stack: Stack, *command: str) -> str:
    return stack.kubectl("exec", "-n", "airflow", "airflow-scheduler-0", "-c", "scheduler", "--", *command)


@KINDS
def test_a_users_stop_removes_the_pod(start: Start, kind: str):
    run = start(f"stopped_{kind}")
    run.wait_for_pod()
    run.mark_failed()

    def gone() -> None:
        if pods := run.list_pods():
            raise NotYet(f"tasks {run.task_states()}, pods {[pod['metadata']['name'] for pod in pods]}")

    wait_for("the pod to be deleted", gone, deadline_s=60, interval_s=1)
    assert run.task_states() == {"work": "failed"}


@KINDS
def test_a_pod_that_a_users_stop_leaves_goes_on_and_is_named_in_the_log(start: Start, kind: str):
    run = start(f"outlives_{kind}")
    before = run.wait_for_pod()
    told = f"Pod {before['metadata']['name']} is kept in namespace team-alpha. Inspect it with "
    run.wait_for_log("Pod has reached Running phase")  # of a deferred task Airflow shows the trigger's log alone
    run.mark_failed()
    assert run.wait_for_end() == "failed"
    assert told in run.wait_for_log(told)
    (after,) = run.list_pods()
    assert (after["metadata"]["uid"], after["status"]["phase"]) == (before["metadata"]["uid"], "Running")


def test_a_task_waits_while_the_quota_is_full_and_not_longer_than_it_may(start: Start, full_quota: Callable[[], None]):
    waiting = [start(f"full_{kind}") for kind in ("deferrable", "sync")]
    hopeless = [start(f"too_full_{kind}") for kind in ("deferrable", "sync")]
    for run in waiting:
        run.wait_for_log("The quota of team 'alpha' is exhausted: the pod waits, ")
    for run in hopeless:
        assert run.wait_for_end() == "failed"
        assert (
            "The quota of team 'alpha' had no room for the pod within 3 s (schedule_timeout_seconds)" in run.read_log()
        )
    full_quota()
    assert [(run.wait_for_end(), run.task_instance()["try_number"]) for run in waiting] == [
        ("success", 1),
        ("success", 1),
    ]
