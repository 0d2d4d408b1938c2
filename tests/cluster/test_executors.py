"""The executors: a task's pod is the same under each, and whoever runs tasks apart from the scheduler holds no key.

The broker's image is Debian's Redis, built here; it stands in for Valkey.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from cluster.support.airflow_runs.dag_run import Run, push_dag
from cluster.support.airflow_runs.executors import EXECUTOR_VALUES, WORKER_SELECTOR, release_with_executor
from stack.airflow_api import AirflowApi
from stack.pod_watch import ObservedPods, watch_pods
from stack.release import NAMESPACE, RELEASE, Stack

RUNNER = {
    "LocalExecutor": f"{RELEASE}-scheduler-0",
    "CeleryExecutor": f"{RELEASE}-worker-0",
    "KubernetesExecutor": "executors-",
}
"""What the name of the host begins with where a task runs."""

KEYS = {"database": "password", "fernet-key": "fernet-key", "jwt-secret": "jwt-secret"}
"""Secrets of Airflow's own that no worker may hold, and the key of each."""


@dataclass(frozen=True)
class Done:
    """Two finished runs under an executor, and the pods that were seen meanwhile.

    Attributes:
        executor: its name.
        runs: how the task waited for its pod → the run.
        pods: the teams' pods.
        workers: the pods of KubernetesExecutor, which are in the release's namespace.
        held: everything that the container where a task ran had in its environment and files meanwhile.
    """

    executor: str
    runs: dict[str, Run]
    pods: ObservedPods
    workers: ObservedPods
    held: str


@pytest.fixture(scope="module", params=list(EXECUTOR_VALUES))
def done(
    stack: Stack, airflow: AirflowApi, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Done]:
    """The release with one executor after the other; afterwards it has its own again."""
    executor = str(request.param)
    with release_with_executor(stack, executor, tmp_path_factory.mktemp("values") / "executor.yaml"):
        push_dag(stack, airflow, "alpha", "executors.py", "executors_deferred")
        yield run_both(executor, stack, airflow)


def run_both(executor: str, stack: Stack, airflow: AirflowApi) -> Done:
    with watch_pods(stack) as pods, watch_pods(stack, WORKER_SELECTOR) as workers:
        runs = {way: Run(stack, airflow, f"executors_{way}", "") for way in ("waiting", "deferred")}
        runs = {way: Run(stack, airflow, run.dag, airflow.trigger_run(run.dag)) for way, run in runs.items()}
        runs["waiting"].wait_for_pod()
        held = all_that_is_in(stack, runs["waiting"].task_instance()["hostname"])
        for run in runs.values():
            assert run.wait_for_end() == "success", run.read_log()
    return Done(executor, runs, pods, workers, held)


def all_that_is_in(stack: Stack, host: str) -> str:
    """The environment of a container's processes, and every small file that it has beside the image's."""
    look = "cat /proc/[0-9]*/environ; find /opt/kpo-platform /opt/airflow /tmp /run -type f -size -64k -exec cat {} +"
    pod = host.partition(".")[0]
    return stack.kubectl("exec", "-n", NAMESPACE, pod, "--", "sh", "-c", f"({look}) 2>/dev/null | tr '\\0' '\\n'; true")


@pytest.mark.parametrize("way", ["waiting", "deferred"])
def test_the_pod_is_the_team_s_and_its_log_and_result_come_back(done: Done, airflow: AirflowApi, way: str):
    run = done.runs[way]
    name = airflow.read_xcom(run.dag, run.id, "work", "pod_name")
    (pod,) = done.pods.with_name(name)
    uid = pod["metadata"]["uid"]
    assert {
        "namespace": pod["metadata"]["namespace"],
        "service account": pod["spec"]["serviceAccountName"],
        "pods of the run": [one["metadata"]["uid"] for one in done.pods.with_labels(dag_id=run.dag)],
        "result": airflow.read_xcom(run.dag, run.id, "work"),
        "in the log": f"I am {uid}" in run.read_log(),
    } == {
        "namespace": "team-alpha",
        "service account": "team-pod",
        "pods of the run": [uid],
        "result": {"uid": uid},
        "in the log": True,
    }


@pytest.mark.parametrize("way", ["waiting", "deferred"])
def test_the_task_ran_where_the_executor_runs_tasks(done: Done, way: str):
    assert done.runs[way].task_instance()["hostname"].startswith(RUNNER[done.executor])


def test_only_the_scheduler_holds_airflow_s_keys(done: Done, stack: Stack):
    values = {secret: stack.read_secret(f"{RELEASE}-{secret}")[key] for secret, key in KEYS.items()}
    held = {secret for secret, value in values.items() if value in done.held}
    assert held == (set(KEYS) if done.executor == "LocalExecutor" else set())
    assert not [value for value in values.values() if value in json.dumps(done.workers.all())]


def test_a_pod_for_one_task_refers_to_no_secret_and_its_token_only_starts_that_task(done: Done):
    runs = {run.id for run in done.runs.values()}
    seen = [pod for pod in done.workers.all() if pod["metadata"]["annotations"]["run_id"] in runs]
    # The deferred task takes two pods: one until it waits, one after.
    assert len(seen) == (3 if done.executor == "KubernetesExecutor" else 0)
    for pod in seen:
        assert "secretKeyRef" not in json.dumps(pod["spec"]) and "secretRef" not in json.dumps(pod["spec"])
        assert not [volume for volume in pod["spec"]["volumes"] if "secret" in volume]
        claims = token_of(pod)
        assert (claims["scope"], claims["exp"] - claims["iat"]) == ("workload", 600)


def token_of(pod: dict[str, Any]) -> dict[str, Any]:
    """The claims of the token that the executor puts into a pod's arguments."""
    (container,) = pod["spec"]["containers"]
    body = json.loads(container["args"][-1])["token"].split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return claims
