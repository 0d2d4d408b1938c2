"""Two replicas of every component that supports it: they share work, and one replaces the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from cluster.support.airflow_runs.dag_run import Run, push_dag
from common.polling import NotYet, wait_for
from common.steps import Steps
from stack.airflow_api import AirflowApi, NoResponseError
from stack.install import install_release
from stack.pod_watch import watch_pods
from stack.release import NAMESPACE, RELEASE, Stack

REPLICATED = {"apiServer": "api-server", "scheduler": "scheduler", "triggerer": "triggerer"}


@pytest.fixture(scope="module", autouse=True)
def two_replicas(stack: Stack, airflow: AirflowApi, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Two replicas of each component; afterwards one again."""
    values = tmp_path_factory.mktemp("values") / "replicas.yaml"
    values.write_text(yaml.safe_dump({key: {"replicas": 2} for key in REPLICATED}))
    try:
        install_release(Steps(), stack, values)
        push_dag(stack, airflow, "alpha", "replicas.py", "replicas_quick")
        yield
    finally:
        install_release(Steps(), stack)


def read_pods(stack: Stack, component: str) -> list[dict[str, Any]]:
    """Return the pods of a component that are not terminating."""
    items = stack.get("pods", "-n", NAMESPACE, "-l", f"app.kubernetes.io/component={component}")["items"]
    return [pod for pod in items if "deletionTimestamp" not in pod["metadata"]]


def kill_pod(stack: Stack, pod: str) -> None:
    """Delete a pod without a grace period, as the loss of its node does."""
    stack.kubectl("delete", "pod", pod, "-n", NAMESPACE, "--grace-period=0", "--force", "--wait=false")


def start_run(stack: Stack, airflow: AirflowApi, dag: str) -> Run:
    return Run(stack, airflow, dag, airflow.trigger_run(dag))


def wait_for_replicas(stack: Stack) -> None:
    def probe() -> None:
        for component in REPLICATED.values():
            ready = [
                pod["status"].get("containerStatuses", [{}])[0].get("ready") for pod in read_pods(stack, component)
            ]
            if ready != [True, True]:
                raise NotYet(f"{component}: {ready}")

    wait_for("two pods of each component to be ready", probe, deadline_s=300, interval_s=2)


@pytest.fixture(autouse=True)
def ready_replicas(stack: Stack) -> None:
    """Wait for two ready replicas of each component before every test."""
    wait_for_replicas(stack)


def test_disruption_budgets_allow_one_pod_at_a_time(stack: Stack):
    budgets = stack.get("pdb", "-n", NAMESPACE)["items"]
    assert {budget["metadata"]["name"]: budget["status"]["disruptionsAllowed"] for budget in budgets} == {
        f"{RELEASE}-{component}": 1 for component in REPLICATED.values()
    }


def test_two_schedulers_run_each_task_once(stack: Stack, airflow: AirflowApi):
    with watch_pods(stack) as observed:
        runs = [start_run(stack, airflow, "replicas_quick") for _ in range(3)]
        assert [run.wait_for_end() for run in runs] == ["success"] * 3
    tasks = [task for run in runs for task in airflow.list_task_instances(run.dag, run.id)]
    assert [(task["state"], task["try_number"]) for task in tasks] == [("success", 1)] * 9
    assert len([pod for run in runs for pod in observed.with_labels(dag_id=run.dag) if run.owns(pod)]) == 9


def test_tasks_of_a_killed_scheduler_succeed_and_the_other_works(stack: Stack, airflow: AirflowApi):
    with watch_pods(stack) as observed:
        runs = [start_run(stack, airflow, f"replicas_{mode}") for mode in ("waiting", "deferred")]
        uids = [{run.wait_for_pod()["metadata"]["uid"]} for run in runs]
        kill_pod(stack, runs[0].task_instance()["hostname"].partition(".")[0])
        other_run = start_run(stack, airflow, "replicas_quick")
        assert other_run.wait_for_end() == "success", other_run.task_states()
        assert [run.wait_for_end() for run in runs] == ["success"] * 2, [run.read_log() for run in runs]
    assert [
        {pod["metadata"]["uid"] for pod in observed.with_labels(dag_id=run.dag) if run.owns(pod)} for run in runs
    ] == uids


def test_triggers_of_a_killed_triggerer_move_to_the_other(stack: Stack, airflow: AirflowApi):
    with watch_pods(stack) as observed:
        run = start_run(stack, airflow, "replicas_deferred")
        run.wait_for_pod()
        first = wait_for("a triggerer to have the task", lambda: read_triggerer(run), deadline_s=60, interval_s=1)
        kill_pod(stack, first.partition(".")[0])
        assert run.wait_for_end() == "success", run.read_log()
    pods = [pod for pod in observed.with_labels(dag_id=run.dag) if run.owns(pod)]
    assert (run.task_instance()["try_number"], len(pods)) == (1, 1)


def read_triggerer(run: Run) -> str:
    """Return the host name of the triggerer of a deferred task."""
    job = run.task_instance()["triggerer_job"]
    if not job:
        raise NotYet(f"its state is {run.task_instance()['state']}")
    return str(job["hostname"])


def test_api_server_responds_after_the_kill_of_a_replica(stack: Stack, airflow: AirflowApi):
    run = start_run(stack, airflow, "replicas_quick")
    kill_pod(stack, read_pods(stack, "api-server")[0]["metadata"]["name"])
    # The network needs a moment to remove the endpoint; a new API server would take longer to start.
    wait_for("ten responses in a row", lambda: send_ten_requests(airflow), deadline_s=20, interval_s=1)
    assert run.wait_for_end() == "success", run.task_states()


def send_ten_requests(airflow: AirflowApi) -> None:
    try:
        for _ in range(10):
            airflow.get("version")
    except NoResponseError as error:
        raise NotYet(str(error)) from None
