"""Pods of TeamPodOperator survive shutdowns and disruptions, wait for quota, and are kept only on request."""

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

StartRun = Callable[[str], Run]


@pytest.fixture(scope="module")
def start(stack: Stack, airflow: AirflowApi) -> Iterator[StartRun]:
    """Starts runs of the DAGs; deletes their pods afterwards."""
    push_dag(stack, airflow, "alpha", "running_pods.py", "pods_marks")
    yield lambda name: Run(stack, airflow, f"pods_{name}", airflow.trigger_run(f"pods_{name}"))
    selector = "dag_id in (" + ",".join(f"pods_{name}" for name in _dag_names()) + ")"
    stack.kubectl("delete", "pods", "-n", "team-alpha", "-l", selector, "--wait=false")


def _dag_names() -> list[str]:
    prefixes = ("shutdown", "late", "evicted", "stopped", "outlives")
    return ["keeps", *(f"{name}_{kind}" for name in prefixes for kind in ("deferrable", "sync"))]


@pytest.fixture
def full_quota(stack: Stack) -> Iterator[Callable[[], None]]:
    """Exhaust team alpha's quota, until the yielded function is called."""
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


def test_pods_have_owner_labels_and_a_stable_idempotency_key(start: StartRun, stack: Stack):
    with watch_pods(stack) as observed:
        run = start("marks")
        assert run.wait_for_end() == "success"
        pods = [item for try_ in (1, 2) for item in observed.with_name(_find_created_pod(run.read_log(attempt=try_)))]
    environments = [_parse_environment(run.read_log(attempt=attempt)) for attempt in (1, 2)]
    labels = [pod["metadata"]["labels"] for pod in pods]
    trace = environments[0]["TRACEPARENT"].split("-")[1]
    names = ("kpo-platform/team", "owner", "cost-center", "trace-id", "dag_id", "task_id", "try_number")
    assert [{key: item[key] for key in names} for item in labels] == [
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
    assert [item["KPO_TRY_NUMBER"] for item in environments] == ["1", "2"]
    assert environments[0]["KPO_IDEMPOTENCY_KEY"] == environments[1]["KPO_IDEMPOTENCY_KEY"]


def _find_created_pod(log: str) -> str:
    """Return the name of the pod of which a task's log says that it was created."""
    return log.split(" was created in namespace ")[0].split()[-1]


def _parse_environment(log: str) -> dict[str, str]:
    lines = (line.partition("[base] ")[2] for line in log.splitlines())
    return dict(line.split("=", 1) for line in lines if "=" in line)


def test_kept_pod_is_named_in_the_log_with_valid_commands(start: StartRun, stack: Stack):
    run = start("keeps")
    assert run.wait_for_end() == "failed"
    (pod,) = run.list_pods()
    name = pod["metadata"]["name"]
    command = f"kubectl -n team-alpha logs {name} -c base"
    assert f"Pod {name} is kept in namespace team-alpha. Inspect it with `{command}`" in run.read_log()
    assert stack.kubectl(*command.split()[1:]) == "evidence\n"


@KINDS
def test_pod_of_a_timed_out_task_is_stopped_and_kept(start: StartRun, stack: Stack, kind: str):
    run = start(f"late_{kind}")
    assert run.wait_for_end() == "failed"
    (pod,) = run.list_pods()
    name = pod["metadata"]["name"]

    def check_deadline() -> None:
        status = stack.get("pod", name, "-n", "team-alpha")["status"]
        if (status["phase"], status.get("reason")) != ("Failed", "DeadlineExceeded"):
            raise NotYet(str(status))

    wait_for("the kubelet to end the pod", check_deadline, deadline_s=60)
    assert stack.kubectl("logs", "-n", "team-alpha", name, "-c", "base") == "evidence\n"
    assert f"Pod {name} is kept" in run.read_log()
    assert "container base ended with" not in run.read_log()


@KINDS
def test_evicted_pod_is_restarted_without_using_a_retry(start: StartRun, stack: Stack, kind: str):
    run = start(f"evicted_{kind}")
    evicted = run.wait_for_pod()
    _evict_pod(stack, evicted["metadata"]["name"])
    run.wait_for_log("without using a retry")
    assert run.wait_for_pod()["metadata"]["uid"] != evicted["metadata"]["uid"]
    assert run.wait_for_end() == "success"
    task = run.task_instance()
    assert (task["state"], task["try_number"], task["max_tries"]) == ("success", 1, 0)
    assert "The pod was disrupted by the cluster (" in run.read_log()


def _evict_pod(stack: Stack, name: str) -> None:
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": "team-alpha"}}
    path = f"/api/v1/namespaces/team-alpha/pods/{name}/eviction"
    stack.kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(eviction))


def test_worker_shutdown_keeps_the_pod_and_the_task_reattaches(start: StartRun, stack: Stack):
    run = start("shutdown_sync")
    before = run.wait_for_pod()
    run.wait_for_log("Pod has reached Running phase")
    process = run.airflow.read_xcom(run.dag, run.id, "work", "process")
    _run_in_scheduler(stack, "sh", "-c", f"kill -TERM {int(process)}")
    assert run.wait_for_end() == "success"
    (after,) = run.list_pods()
    log = run.read_log()
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert (run.task_instance()["try_number"], log.count("Building pod")) == (1, 2)
    assert f"The worker is shutting down: pod {before['metadata']['name']} is kept." in log
    assert f"Reattached to pod {before['metadata']['name']}, which an earlier process of this task created." in log


def test_triggerer_restart_keeps_the_pod_and_its_task(start: StartRun, stack: Stack):
    run = start("shutdown_deferrable")
    before = run.wait_for_pod()
    stack.kubectl("delete", "pod", "-n", "airflow", "airflow-triggerer-0", timeout_s=120)
    assert run.wait_for_end() == "success"
    (after,) = run.list_pods()
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert run.task_instance()["try_number"] == 1


def _run_in_scheduler(stack: Stack, *command: str) -> str:
    return stack.kubectl("exec", "-n", "airflow", "airflow-scheduler-0", "-c", "scheduler", "--", *command)


@KINDS
def test_stopped_task_deletes_its_pod(start: StartRun, kind: str):
    run = start(f"stopped_{kind}")
    run.wait_for_pod()
    if kind == "deferrable":
        run.wait_for_log("has started")  # the triggerer has the task: only then a stop reaches it
    run.mark_failed()

    def check_deleted() -> None:
        if pods := run.list_pods():
            raise NotYet(f"tasks {run.task_states()}, pods {[pod['metadata']['name'] for pod in pods]}")

    wait_for("the pod to be deleted", check_deleted, deadline_s=60, interval_s=1)
    assert run.task_states() == {"work": "failed"}


@KINDS
def test_stopped_task_with_keep_pod_leaves_it_running(start: StartRun, kind: str):
    run = start(f"outlives_{kind}")
    before = run.wait_for_pod()
    message = f"Pod {before['metadata']['name']} is kept in namespace team-alpha. Inspect it with "
    # For a deferred task Airflow shows only the trigger's log.
    run.wait_for_log("has started" if kind == "deferrable" else "Pod has reached Running phase")
    run.mark_failed()
    assert run.wait_for_end() == "failed"
    assert message in run.wait_for_log(message)
    (after,) = run.list_pods()
    assert (after["metadata"]["uid"], after["status"]["phase"]) == (before["metadata"]["uid"], "Running")


def test_task_waits_for_quota_until_its_timeout(start: StartRun, full_quota: Callable[[], None]):
    waiting_runs = [start(f"full_{kind}") for kind in ("deferrable", "sync")]
    timed_out_runs = [start(f"too_full_{kind}") for kind in ("deferrable", "sync")]
    for run in waiting_runs:
        run.wait_for_log("The quota of team 'alpha' does not admit the pod now: waiting to create it, ")
    for run in timed_out_runs:
        assert run.wait_for_end() == "failed"
        assert "the quota of team 'alpha' did not admit it for 3 s (schedule_timeout_seconds" in run.read_log()
    full_quota()
    assert [(run.wait_for_end(), run.task_instance()["try_number"]) for run in waiting_runs] == [
        ("success", 1),
        ("success", 1),
    ]
