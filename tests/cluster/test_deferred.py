"""Tasks that wait in the triggerer: nothing is lost or doubled when what they depend on restarts or moves."""

from __future__ import annotations

import json
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client, config

from cluster.support.airflow_runs.dag_run import Run, push_dag
from cluster.support.airflow_runs.long_runs import SYNC, TASKS, start_long_run, wait_until_stable
from cluster.support.controllers import wait_for_controllers
from cluster.support.earlier_chart import extract_chart
from common.command import capture_output
from common.polling import NotYet, wait_for
from common.steps import Steps
from faults.api_server import keep_components_running, stop_api_server
from local_cluster.network import ENTER_NAMESPACE
from stack.airflow_api import AirflowApi
from stack.embedded_database import query_database
from stack.install import changed_release, install_release
from stack.pod_watch import ObservedPods, watch_pods
from stack.pools import changed_slots
from stack.release import NAMESPACE, RELEASE, Stack

# The last commit whose deferred tasks have the provider's trigger. The first release's tag replaces it.
EARLIER = "3f0a10cda77646336988025d86f4dbb0aa0fca53"
REFUSED = "The triggerer refuses the trigger 'kpo_platform.airflow.triggers.team_pod.TeamPodTrigger'"
TEAM = "team-alpha"
TRIGGERER = f"{RELEASE}-triggerer"
ETCD = "http://127.0.0.1:2379"
POST = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1], sys.stdin.buffer.read(), 30).read().decode())"
"""A program that sends what it reads to the URL of its first word."""

FINISHED = re.compile(r"finished (\d+)")

StartRun = Callable[[str], Run]


@pytest.fixture(scope="module")
def start(stack: Stack, airflow: AirflowApi) -> Iterator[StartRun]:
    """Starts runs of the DAGs; deletes their pods afterwards."""
    push_dag(stack, airflow, "alpha", "deferred.py", "deferred_burst")
    yield lambda name: Run(stack, airflow, f"deferred_{name}", airflow.trigger_run(f"deferred_{name}"))
    names = ",".join(f"deferred_{name}" for name in ("restarts", "moved", "unwatched", "removed", "burst"))
    stack.kubectl("delete", "pods", "-n", TEAM, "-l", f"dag_id in ({names})", "--wait=false")


def read_states(run: Run) -> Counter[str]:
    return Counter(str(task["state"]) for task in run.airflow.list_task_instances(run.dag, run.id))


def wait_until_deferred(run: Run, count: int, phase: str = "Running") -> None:
    """Wait until all tasks of a run are deferred and their pods are in a phase."""

    def probe() -> None:
        states = read_states(run)
        phases = Counter(str(pod["status"].get("phase")) for pod in run.list_pods())
        if (states["deferred"], phases[phase]) != (count, count):
            raise NotYet(f"tasks {dict(states)}, pods {dict(phases)}")

    wait_for(f"{count} tasks of {run.dag} to be deferred", probe, deadline_s=900, interval_s=2)


def check_each_ran_once(run: Run, observed: ObservedPods, count: int) -> None:
    """Check that every task succeeded in its first try with one pod, whose whole log it has."""
    tasks = run.airflow.list_task_instances(run.dag, run.id)
    assert Counter((task["state"], task["try_number"]) for task in tasks) == {("success", 1): count}
    pods = [pod for pod in observed.with_labels(dag_id=run.dag) if run.owns(pod)]
    assert len(pods) == count
    finished = Counter(number for index in range(count) for number in FINISHED.findall(read_log(run, index)))
    assert finished == {str(number): 1 for number in range(count)}


def read_log(run: Run, index: int) -> str:
    return run.airflow.read_log(run.dag, run.id, "work", 1, index)


def wait_for_end(run: Run) -> None:
    assert run.airflow.wait_for_run(run.dag, run.id, deadline_s=900) == "success", read_states(run)


def list_triggerers(stack: Stack) -> list[str]:
    """Return the pods of the triggerer that are ready."""
    items = stack.get("pods", "-n", NAMESPACE, "-l", "app.kubernetes.io/component=triggerer")["items"]
    return [
        str(pod["metadata"]["name"])
        for pod in items
        if "deletionTimestamp" not in pod["metadata"] and pod["status"].get("containerStatuses", [{}])[0].get("ready")
    ]


def wait_for_triggerers(stack: Stack, count: int) -> None:
    def probe() -> None:
        if len(names := list_triggerers(stack)) != count:
            raise NotYet(f"ready: {names}")

    wait_for(f"{count} triggerers to be ready", probe, deadline_s=300, interval_s=2)


def compact_etcd() -> None:
    """Remove all former versions of all objects from etcd."""
    revision = send_to_etcd("kv/range", {"key": "AA=="})["header"]["revision"]
    send_to_etcd("kv/compaction", {"revision": revision, "physical": True})


def send_to_etcd(path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Send a request to etcd, which listens in the cluster's network namespace."""
    words = [*ENTER_NAMESPACE, sys.executable, "-c", POST, f"{ETCD}/v3/{path}"]
    parsed: dict[str, Any] = json.loads(capture_output(words, stdin=json.dumps(body), timeout_s=40))
    return parsed


def test_restarts_of_api_server_triggerer_and_database_lose_no_task(start: StartRun, stack: Stack):
    with watch_pods(stack) as observed:
        run = start("restarts")
        wait_until_deferred(run, 50)
        with stop_api_server():
            compact_etcd()  # the version from which the triggerer watches is gone: 410
            time.sleep(20)
        # The former watch has ended with the API server.
        with keep_components_running(), watch_pods(stack, observed=observed):
            wait_for_controllers(stack)
            stack.kubectl("delete", "pod", f"{RELEASE}-postgresql-0", "-n", NAMESPACE, "--wait=false")
            stack.kubectl("delete", "pod", f"{TRIGGERER}-0", "-n", NAMESPACE, "--grace-period=0", "--force")
            wait_for_triggerers(stack, 1)
            wait_for_end(run)
    check_each_ran_once(run, observed, 50)


def move_triggers(stack: Stack) -> int:
    """Give every trigger of one triggerer to another living one, as Airflow does after missed heartbeats."""
    living = "SELECT id FROM job WHERE job_type = 'TriggererJob' AND state = 'running' ORDER BY latest_heartbeat DESC"
    first, second = query_database(stack, f"{living} LIMIT 2").split()
    swapped = f"CASE WHEN triggerer_id = {first} THEN {second} ELSE {first} END"
    moved = query_database(stack, f"UPDATE trigger SET triggerer_id = {swapped} RETURNING id")
    return len(re.findall(r"^\d+$", moved, re.MULTILINE))


def test_triggerers_that_hand_over_their_tasks_delete_no_pod(start: StartRun, stack: Stack):
    with changed_release(Steps(), stack, {"triggerer": {"replicas": 2}}), watch_pods(stack) as observed:
        wait_for_triggerers(stack, 2)
        run = start("moved")
        wait_until_deferred(run, 12)
        assert move_triggers(stack) == 12
        time.sleep(10)
        stack.kubectl("delete", "pod", f"{TRIGGERER}-1", "-n", NAMESPACE, "--grace-period=0", "--force")
        wait_for_triggerers(stack, 2)
        stack.kubectl("scale", "statefulset", TRIGGERER, "-n", NAMESPACE, "--replicas=1")
        wait_for_triggerers(stack, 1)
        wait_for_end(run)
        check_each_ran_once(run, observed, 12)


@contextmanager
def without_watch(stack: Stack) -> Iterator[None]:
    """Take the right to watch pods from Airflow in the team's namespace."""
    role = next(
        item
        for item in stack.get("roles", "-n", TEAM)["items"]
        if any("pods/exec" in rule.get("resources", []) for rule in item["rules"])
    )
    reduced = [
        {**rule, "verbs": [verb for verb in rule["verbs"] if verb != "watch"]} if "pods" in rule["resources"] else rule
        for rule in role["rules"]
    ]
    write_role(stack, {**role, "rules": reduced})
    try:
        yield
    finally:
        write_role(stack, role)


def write_role(stack: Stack, role: dict[str, Any]) -> None:
    """Write a role as Helm does, so that a later upgrade finds no other owner of its fields."""
    metadata = {name: role["metadata"][name] for name in ("name", "namespace", "labels", "annotations")}
    content = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": metadata,
        "rules": role["rules"],
    }
    stack.kubectl("apply", "--server-side", "--field-manager=helm", "-f", "-", stdin=json.dumps(content))


def test_refused_watch_is_replaced_by_one_list(start: StartRun, stack: Stack):
    stack.kubectl("delete", "pod", f"{TRIGGERER}-0", "-n", NAMESPACE, "--grace-period=5")  # ends an open watch
    wait_for_triggerers(stack, 1)
    with without_watch(stack), watch_pods(stack) as observed:
        run = start("unwatched")
        wait_for_end(run)
        said = stack.kubectl("logs", "-n", NAMESPACE, f"{TRIGGERER}-0", "-c", "triggerer", "--tail=2000")
    assert f"Cannot watch the pods of namespace {TEAM}: HTTP 403" in said
    check_each_ran_once(run, observed, 3)


def test_deletion_of_the_dag_of_deferred_tasks_ends_their_pods(start: StartRun, stack: Stack, airflow: AirflowApi):
    run = start("removed")
    wait_until_deferred(run, 2)
    airflow.delete(f"dags/{run.dag}")  # Airflow does not delete a run that is not over

    def probe() -> None:
        if pods := [pod["metadata"]["name"] for pod in run.list_pods()]:
            raise NotYet(f"pods {pods}")

    wait_for("the pods of the deleted DAG to be deleted", probe, deadline_s=60, interval_s=1)


def end_pods(stack: Stack, pods: list[dict[str, Any]]) -> None:
    """Give pods without a node the status of a success, within a second."""
    api = client.CoreV1Api(config.new_client_from_config(str(stack.kubeconfig)))
    ended = {"exitCode": 0, "reason": "Completed", "startedAt": "2026-01-01T00:00:00Z", "finishedAt": None}
    container = {"name": "base", "image": "i", "imageID": "i", "ready": False, "restartCount": 0}
    status = {"phase": "Succeeded", "containerStatuses": [{**container, "state": {"terminated": ended}}]}

    def end(pod: dict[str, Any]) -> None:
        api.patch_namespaced_pod_status(pod["metadata"]["name"], TEAM, {"status": status})

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(end, pods))


def test_pods_that_end_within_a_second_are_all_seen(start: StartRun, stack: Stack, airflow: AirflowApi):
    with changed_slots(airflow, TEAM, 400):  # a deferred task keeps its slot
        run = start("burst")
        wait_until_deferred(run, 300, phase="Pending")
        end_pods(stack, run.list_pods())
        wait_for_end(run)
    assert Counter(task["try_number"] for task in run.airflow.list_task_instances(run.dag, run.id)) == {1: 300}


@pytest.fixture(scope="module")
def earlier_chart(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The earlier chart; afterwards this checkout's chart is installed."""
    yield extract_chart(EARLIER, tmp_path_factory.mktemp("earlier")) / "helm" / "kpo-platform"
    install_release(Steps(), stack)


def test_upgrade_keeps_tasks_with_the_providers_trigger(stack: Stack, airflow: AirflowApi, earlier_chart: Path):
    install_release(Steps(), stack, packaged=earlier_chart)
    wait_until_stable(stack)
    with watch_pods(stack) as observed:
        run = start_long_run(stack, airflow)
        try:
            install_release(Steps(), stack)
            wait_until_stable(stack)
            run.wait_for_sync(2)
            run.finish_tasks()
            assert run.run.wait_for_end() == "success", run.task_states()
            assert run.observed_pod_uids(observed) == {task: {uid} for task, uid in run.uids.items()}
        finally:
            run.fail_run()


def test_tasks_that_are_deferred_while_the_chart_goes_back_fail_and_leave_no_pod(
    stack: Stack, airflow: AirflowApi, earlier_chart: Path
):
    run = start_long_run(stack, airflow)
    try:
        install_release(Steps(), stack, packaged=earlier_chart)
        wait_until_stable(stack)
        run.wait_for_sync(2)
        run.finish_tasks("sync")
        assert run.run.wait_for_end() == "failed"
        states = {task: state for task, (state, _) in run.task_states().items()}
        assert states == {task: "success" if task == SYNC else "failed" for task in TASKS}
        assert REFUSED in run.run.read_log("deferred")
        assert run.running_pods() == {}
    finally:
        run.fail_run()
