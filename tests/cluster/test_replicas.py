"""Two of everything that there may be two of: work is shared, and what one loses the other takes up."""

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

DOUBLED = {"apiServer": "api-server", "scheduler": "scheduler", "triggerer": "triggerer"}


@pytest.fixture(scope="module", autouse=True)
def doubled(stack: Stack, airflow: AirflowApi, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Two pods of each; afterwards there is one again."""
    values = tmp_path_factory.mktemp("values") / "replicas.yaml"
    values.write_text(yaml.safe_dump({key: {"replicas": 2} for key in DOUBLED}))
    try:
        install_release(Steps(), stack, values)
        push_dag(stack, airflow, "alpha", "replicas.py", "replicas_quick")
        yield
    finally:
        install_release(Steps(), stack)


def pods_of(stack: Stack, component: str) -> list[dict[str, Any]]:
    """The pods of a component that are not on their way out."""
    found = stack.get("pods", "-n", NAMESPACE, "-l", f"app.kubernetes.io/component={component}")["items"]
    return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]


def kill(stack: Stack, pod: str) -> None:
    """Take a pod away as the loss of its node does: nothing in it has time for anything."""
    stack.kubectl("delete", "pod", pod, "-n", NAMESPACE, "--grace-period=0", "--force", "--wait=false")


def start(stack: Stack, airflow: AirflowApi, dag: str) -> Run:
    return Run(stack, airflow, dag, airflow.trigger_run(dag))


def all_ready(stack: Stack) -> None:
    def probe() -> None:
        for component in DOUBLED.values():
            ready = [pod["status"].get("containerStatuses", [{}])[0].get("ready") for pod in pods_of(stack, component)]
            if ready != [True, True]:
                raise NotYet(f"{component}: {ready}")

    wait_for("two pods of each component to be ready", probe, deadline_s=300, interval_s=2)


@pytest.fixture(autouse=True)
def whole(stack: Stack) -> None:
    """Every test begins with two of each."""
    all_ready(stack)


def test_one_of_two_may_go_at_a_time(stack: Stack):
    budgets = stack.get("pdb", "-n", NAMESPACE)["items"]
    assert {budget["metadata"]["name"]: budget["status"]["disruptionsAllowed"] for budget in budgets} == {
        f"{RELEASE}-{component}": 1 for component in DOUBLED.values()
    }


def test_two_schedulers_run_each_task_once(stack: Stack, airflow: AirflowApi):
    with watch_pods(stack) as seen:
        runs = [start(stack, airflow, "replicas_quick") for _ in range(3)]
        assert [run.wait_for_end() for run in runs] == ["success"] * 3
    tasks = [task for run in runs for task in airflow.list_task_instances(run.dag, run.id)]
    assert [(task["state"], task["try_number"]) for task in tasks] == [("success", 1)] * 9
    assert len(seen.with_labels(dag_id="replicas_quick")) == 9


def test_of_a_killed_scheduler_the_tasks_end_well_and_the_other_goes_on(stack: Stack, airflow: AirflowApi):
    with watch_pods(stack) as seen:
        runs = [start(stack, airflow, f"replicas_{way}") for way in ("waiting", "deferred")]
        uids = [{run.wait_for_pod()["metadata"]["uid"]} for run in runs]
        kill(stack, runs[0].task_instance()["hostname"].partition(".")[0])
        meanwhile = start(stack, airflow, "replicas_quick")
        assert meanwhile.wait_for_end() == "success", meanwhile.task_states()
        assert [run.wait_for_end() for run in runs] == ["success"] * 2, [run.read_log() for run in runs]
    assert [
        {pod["metadata"]["uid"] for pod in seen.with_labels(dag_id=run.dag) if run.owns(pod)} for run in runs
    ] == uids


def test_of_a_killed_triggerer_the_other_takes_the_waiting_tasks_over(stack: Stack, airflow: AirflowApi):
    with watch_pods(stack) as seen:
        run = start(stack, airflow, "replicas_deferred")
        run.wait_for_pod()
        first = wait_for("a triggerer to have the task", lambda: triggerer_of(run), deadline_s=60, interval_s=1)
        kill(stack, first.partition(".")[0])
        assert run.wait_for_end() == "success", run.read_log()
    assert (run.task_instance()["try_number"], len(seen.with_labels(dag_id=run.dag))) == (1, 1)


def triggerer_of(run: Run) -> str:
    """The host of the triggerer in which a deferred task waits."""
    job = run.task_instance()["triggerer_job"]
    if not job:
        raise NotYet(f"its state is {run.task_instance()['state']}")
    return str(job["hostname"])


def test_of_a_killed_api_server_the_other_answers(stack: Stack, airflow: AirflowApi):
    run = start(stack, airflow, "replicas_quick")
    kill(stack, pods_of(stack, "api-server")[0]["metadata"]["name"])
    # The network needs a moment to send nobody there any more; a new API server needs longer to start.
    wait_for("ten answers in a row", lambda: ten_answers(airflow), deadline_s=20, interval_s=1)
    assert run.wait_for_end() == "success", run.task_states()


def ten_answers(airflow: AirflowApi) -> None:
    try:
        for _ in range(10):
            airflow.get("version")
    except NoResponseError as error:
        raise NotYet(str(error)) from None
