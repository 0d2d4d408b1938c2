"""The executors: the same pod under each, and no secrets in pods that only run tasks.

The broker is Debian's Redis, a stand-in for Valkey.
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

RUNNER_HOST = {
    "LocalExecutor": f"{RELEASE}-scheduler-0",
    "CeleryExecutor": f"{RELEASE}-worker-0",
    "KubernetesExecutor": "executors-",
}
"""Prefix of the host name where a task runs."""

KEYS = {"database": "password", "fernet-key": "fernet-key", "jwt-secret": "jwt-secret"}
"""Secrets that no worker may have, and their keys."""


@dataclass(frozen=True)
class ExecutorResult:
    """Two finished runs under an executor, and the observed pods.

    Attributes:
        executor: name of the executor.
        runs: how the task waited for its pod → the run.
        pods: the teams' pods.
        workers: KubernetesExecutor's pods in the release's namespace.
        readable_content: environment and files of the container where a task ran.
    """

    executor: str
    runs: dict[str, Run]
    pods: ObservedPods
    workers: ObservedPods
    readable_content: str


@pytest.fixture(scope="module", params=list(EXECUTOR_VALUES))
def result(
    stack: Stack, airflow: AirflowApi, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[ExecutorResult]:
    """The release with one executor after the other; afterwards with its own again."""
    executor = str(request.param)
    with release_with_executor(stack, executor, tmp_path_factory.mktemp("values") / "executor.yaml"):
        push_dag(stack, airflow, "alpha", "executors.py", "executors_deferred")
        yield run_both_dags(executor, stack, airflow)


def run_both_dags(executor: str, stack: Stack, airflow: AirflowApi) -> ExecutorResult:
    with watch_pods(stack) as pods, watch_pods(stack, WORKER_SELECTOR) as workers:
        runs = {mode: Run(stack, airflow, f"executors_{mode}", "") for mode in ("waiting", "deferred")}
        runs = {mode: Run(stack, airflow, run.dag, airflow.trigger_run(run.dag)) for mode, run in runs.items()}
        runs["waiting"].wait_for_pod()
        readable_content = read_container_content(stack, runs["waiting"].task_instance()["hostname"])
        for run in runs.values():
            assert run.wait_for_end() == "success", run.read_log()
    return ExecutorResult(executor, runs, pods, workers, readable_content)


def read_container_content(stack: Stack, host: str) -> str:
    """Return the environment of a container's processes, and the small files that its image does not contain."""
    script = "cat /proc/[0-9]*/environ; find /opt/kpo-platform /opt/airflow /tmp /run -type f -size -64k -exec cat {} +"
    pod = host.partition(".")[0]
    return stack.kubectl(
        "exec", "-n", NAMESPACE, pod, "--", "sh", "-c", f"({script}) 2>/dev/null | tr '\\0' '\\n'; true"
    )


@pytest.mark.parametrize("mode", ["waiting", "deferred"])
def test_pod_is_the_teams_and_returns_log_and_result(result: ExecutorResult, airflow: AirflowApi, mode: str):
    run = result.runs[mode]
    name = airflow.read_xcom(run.dag, run.id, "work", "pod_name")
    (pod,) = result.pods.with_name(name)
    uid = pod["metadata"]["uid"]
    assert {
        "namespace": pod["metadata"]["namespace"],
        "service account": pod["spec"]["serviceAccountName"],
        "pods of the run": [entry["metadata"]["uid"] for entry in result.pods.with_labels(dag_id=run.dag)],
        "result": airflow.read_xcom(run.dag, run.id, "work"),
        "in the log": f"I am {uid}" in run.read_log(),
    } == {
        "namespace": "team-alpha",
        "service account": "team-pod",
        "pods of the run": [uid],
        "result": {"uid": uid},
        "in the log": True,
    }


@pytest.mark.parametrize("mode", ["waiting", "deferred"])
def test_task_runs_where_the_executor_runs_tasks(result: ExecutorResult, mode: str):
    assert result.runs[mode].task_instance()["hostname"].startswith(RUNNER_HOST[result.executor])


def test_only_the_scheduler_has_airflow_secrets(result: ExecutorResult, stack: Stack):
    values = {secret: stack.read_secret(f"{RELEASE}-{secret}")[key] for secret, key in KEYS.items()}
    readable_secrets = {secret for secret, value in values.items() if value in result.readable_content}
    assert readable_secrets == (set(KEYS) if result.executor == "LocalExecutor" else set())
    assert not [value for value in values.values() if value in json.dumps(result.workers.all())]


def test_worker_pod_has_no_secret_and_a_workload_token(result: ExecutorResult):
    runs = {run.id for run in result.runs.values()}
    worker_pods = [pod for pod in result.workers.all() if pod["metadata"]["annotations"]["run_id"] in runs]
    # The deferred task needs two pods: before and after it waits.
    assert len(worker_pods) == (3 if result.executor == "KubernetesExecutor" else 0)
    for pod in worker_pods:
        assert "secretKeyRef" not in json.dumps(pod["spec"]) and "secretRef" not in json.dumps(pod["spec"])
        assert not [volume for volume in pod["spec"]["volumes"] if "secret" in volume]
        claims = read_token_claims(pod)
        assert (claims["scope"], claims["exp"] - claims["iat"]) == ("workload", 600)


def read_token_claims(pod: dict[str, Any]) -> dict[str, Any]:
    """Return the claims of the token in a worker pod's arguments."""
    (container,) = pod["spec"]["containers"]
    body = json.loads(container["args"][-1])["token"].split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return claims
