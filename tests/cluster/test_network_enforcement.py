"""Enforced network policies: Airflow works with them, and pods can connect only where they need to.

`cluster.support.network.enforcer` enforces them during these tests, because the local cluster's network does not.
"""

from __future__ import annotations

import json
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.support.airflow_runs.dag_run import DAGS, Run
from cluster.support.airflow_runs.executors import EXECUTOR_VALUES, WORKER_SELECTOR
from cluster.support.network.connectivity import find_reachable, open_host_ports, run_servers
from cluster.support.network.enforced_release import (
    ALPHA,
    BETA,
    CONTROLLER,
    NEIGHBOUR,
    SHOP,
    SHOP_SERVICE,
    STRANGER,
    EnforcedRelease,
    connection_targets,
    release_values,
)
from cluster.support.network.enforcer import enforce_policies
from common.polling import NotYet, wait_for
from common.steps import Steps
from stack.git_push import push_files
from stack.install import install_release, run_bootstrap
from stack.release import NAMESPACE, RELEASE, Stack
from stack.sample_run import connect_airflow
from stack.shared_logs import shared_log_claim

HEALTHY = dict.fromkeys(("metadatabase", "scheduler", "triggerer", "dag_processor"), "healthy")


def read_jobs(stack: Stack) -> dict[str, dict[str, Any]]:
    return {job["metadata"]["uid"]: job for job in stack.get("jobs", "-n", NAMESPACE)["items"]}


@pytest.fixture(scope="module")
def host_ports(stack: Stack) -> Iterator[list[int]]:
    """The connecting pods, and two ports of the host; afterwards the release has its own values again."""
    with (
        open_host_ports(2) as ports,
        run_servers(stack, CONTROLLER, STRANGER, NEIGHBOUR, SHOP, ALPHA, BETA),
        shared_log_claim(stack),
    ):
        try:
            stack.kubectl("create", "-f", "-", stdin=json.dumps(SHOP_SERVICE))
            yield ports
        finally:
            install_release(Steps(), stack)
            stack.kubectl("delete", "pods", "-n", NAMESPACE, "-l", WORKER_SELECTOR, timeout_s=120)


@pytest.fixture(scope="module", params=list(EXECUTOR_VALUES))
def enforced(
    stack: Stack, host_ports: list[int], tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[EnforcedRelease]:
    """The release with one executor after the other, upgraded under enforced policies."""
    executor = str(request.param)
    file = tmp_path_factory.mktemp("values") / "enforced.yaml"
    file.write_text(yaml.safe_dump(release_values(executor, host_ports[0])))
    with enforce_policies(stack) as enforcer:
        before = set(read_jobs(stack))
        install_release(Steps(), stack, file)
        enforcer.wait_until_applied()
        yield EnforcedRelease(
            stack, executor, enforcer, connect_airflow(stack), before, connection_targets(stack, executor, host_ports)
        )


def test_only_tasks_and_bootstrap_can_connect_by_default(stack: Stack, host_ports: list[int], programs: Path):
    api = stack.service_address(f"{RELEASE}-api-server")
    scheduler = f"{NAMESPACE}/{RELEASE}-scheduler-0"
    host, port = api.split(":")
    with enforce_policies(stack):
        observed = {
            pod: find_reachable(stack, pod, {"API": api}) for pod in (CONTROLLER, STRANGER, NEIGHBOUR, ALPHA, scheduler)
        }
        with pytest.raises(TimeoutError):
            socket.create_connection((host, int(port)), timeout=3)
        run_bootstrap(Steps(), stack, programs)
    assert observed == {CONTROLLER: set(), STRANGER: set(), NEIGHBOUR: set(), ALPHA: set(), scheduler: {"API"}}
    socket.create_connection((host, int(port)), timeout=3).close()


def test_airflow_is_healthy_after_an_upgrade_with_all_jobs(enforced: EnforcedRelease):
    def check_health() -> None:
        health = enforced.airflow.get("monitor/health")
        if (observed := {name: part["status"] for name, part in health.items()}) != HEALTHY:
            raise NotYet(str(observed))

    def check_jobs() -> set[str]:
        new = [job for uid, job in read_jobs(enforced.stack).items() if uid not in enforced.jobs_before]
        results = {
            job["metadata"]["labels"]["app.kubernetes.io/component"]: job["status"].get("succeeded") for job in new
        }
        if results != dict.fromkeys(results, 1):
            raise NotYet(str(results))
        return set(results)

    wait_for("Airflow to be healthy", check_health, deadline_s=60, interval_s=2)
    observed = wait_for("the jobs to succeed", check_jobs, deadline_s=120, interval_s=2)
    assert observed >= {"secrets", "migration", "team-settings"} or enforced.executor != "LocalExecutor"


def test_each_pod_connects_only_to_what_it_needs(enforced: EnforcedRelease):
    targets, public = set(enforced.targets), enforced.public_targets
    needed = public | ({"database", "broker"} & targets)
    own_logs = {name: {f"logs-of-{name}"} & targets for name in ("scheduler", "triggerer", "worker")}
    assert enforced.find_reachable() == {
        "alpha": {"alpha", "listed", "shop", "names"},
        "beta": {"beta", "names"},
        "stranger": public,
        "neighbour": public,
        "controller": public | {"API"},
        "scheduler": needed | {"API"} | own_logs["scheduler"],
        "triggerer": needed | own_logs["triggerer"],
        "dag-processor": needed,
        **({"worker": needed | {"API"} | own_logs["worker"]} if enforced.executor == "CeleryExecutor" else {}),
    }


def test_api_server_can_read_the_logs(enforced: EnforcedRelease):
    logs = {name for name in enforced.targets if name.startswith("logs-")}
    assert find_reachable(enforced.stack, enforced.get_pod("api-server"), enforced.targets) >= {"database", *logs}


def test_pushed_dag_runs_with_logs_and_results(enforced: EnforcedRelease):
    stack, airflow = enforced.stack, enforced.airflow
    text = (DAGS / "executors.py").read_text(encoding="utf-8").replace("executors_", "enforced_")
    url = f"git://{stack.service_address('git-server', 'git')}/alpha.git"
    commit = push_files(url, {"enforced.py": f"# {secrets.token_hex(8)}\n{text}"}, "Add DAGs for enforced policies")
    airflow.wait_for_version("enforced_deferred", commit)
    runs = [
        Run(stack, airflow, f"enforced_{mode}", airflow.trigger_run(f"enforced_{mode}"))
        for mode in ("waiting", "deferred")
    ]
    runs[1].wait_for_log(") starting")  # of the triggerer, which serves it while the task is deferred
    for run in runs:
        assert run.wait_for_end() == "success", run.read_log()
        result = airflow.read_xcom(run.dag, run.id, "work")
        assert f"I am {result['uid']}" in run.read_log()


def test_metrics_can_be_scraped(enforced: EnforcedRelease):
    url = f"http://{enforced.targets['metrics']}/metrics"
    namespace, name = STRANGER.split("/")
    words = f"exec -n {namespace} {name} -- timeout 10 wget -q -O - {url}".split()

    def probe() -> None:
        if "airflow_scheduler_heartbeat" not in (observed := enforced.stack.kubectl(*words)):
            raise NotYet(f"{len(observed.splitlines())} lines, none of the scheduler")

    wait_for("the scheduler's metrics", probe, deadline_s=60, interval_s=2)


def test_helm_test_passes(enforced: EnforcedRelease):
    words = ["test", RELEASE, "--namespace", NAMESPACE, "--timeout", "4m"]
    enforced.stack.helm(words, lambda _: None, timeout_s=250)
    enforced.stack.kubectl("delete", "pod", f"{RELEASE}-test", "-n", NAMESPACE, "--grace-period=1")


def test_bootstrap_creates_a_missing_connection(enforced: EnforcedRelease, programs: Path):
    former = enforced.airflow.get("connections/k8s_default")
    enforced.airflow.delete("connections/k8s_default")
    run_bootstrap(Steps(), enforced.stack, programs)
    connection = enforced.airflow.get("connections/k8s_default")
    # The former one may have been created by an older version: bootstrap does not change a description.
    description = "The cluster that Airflow runs in. Managed by platformctl bootstrap."
    assert connection == {**former, "description": description}


def test_everything_is_reachable_without_policies(enforced: EnforcedRelease):
    """Positive control: only the policies reject the connections above."""
    with enforced.enforcer.pause():
        observed = enforced.find_reachable()
    assert observed == {name: set(enforced.targets) for name in observed}
