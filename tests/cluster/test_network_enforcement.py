"""The network policies, enforced: Airflow works behind them, and by real connections nobody gets where he need not.

The local cluster's own network enforces none; `cluster.support.network.enforcer` does, while these tests run.
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
from cluster.support.airflow_runs.executors import EXECUTOR_VALUES, LOG_CLAIM, WORKER_SELECTOR
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

HEALTHY = dict.fromkeys(("metadatabase", "scheduler", "triggerer", "dag_processor"), "healthy")


def jobs(stack: Stack) -> dict[str, dict[str, Any]]:
    return {each["metadata"]["uid"]: each for each in stack.get("jobs", "-n", NAMESPACE)["items"]}


@pytest.fixture(scope="module")
def around(stack: Stack) -> Iterator[list[int]]:
    """Everybody who tries to connect, and two ports outside; afterwards the release is as it was."""
    with open_host_ports(2) as ports, run_servers(stack, CONTROLLER, STRANGER, NEIGHBOUR, SHOP, ALPHA, BETA):
        try:
            stack.kubectl("create", "-f", "-", stdin=json.dumps(SHOP_SERVICE))
            stack.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(LOG_CLAIM))
            yield ports
        finally:
            install_release(Steps(), stack)
            stack.kubectl("delete", "pods", "-n", NAMESPACE, "-l", WORKER_SELECTOR, timeout_s=120)
            stack.kubectl("delete", "pvc", LOG_CLAIM["metadata"]["name"], "-n", NAMESPACE, timeout_s=120)


@pytest.fixture(scope="module", params=list(EXECUTOR_VALUES))
def enforced(
    stack: Stack, around: list[int], tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[EnforcedRelease]:
    """The release with one executor after the other, by an upgrade behind the policies."""
    executor = str(request.param)
    file = tmp_path_factory.mktemp("values") / "enforced.yaml"
    file.write_text(yaml.safe_dump(release_values(executor, around[0])))
    with enforce_policies(stack) as enforcer:
        before = set(jobs(stack))
        install_release(Steps(), stack, file)
        enforcer.wait_until_applied()
        yield EnforcedRelease(
            stack, executor, enforcer, connect_airflow(stack), before, connection_targets(stack, executor, around)
        )


def test_by_default_only_tasks_connect_to_the_api_server_and_bootstrap_comes_by_way_of_the_node(
    stack: Stack, around: list[int], programs: Path
):
    api = stack.service_address(f"{RELEASE}-api-server")
    scheduler = f"{NAMESPACE}/{RELEASE}-scheduler-0"
    host, port = api.split(":")
    with enforce_policies(stack):
        seen = {
            pod: find_reachable(stack, pod, {"API": api}) for pod in (CONTROLLER, STRANGER, NEIGHBOUR, ALPHA, scheduler)
        }
        with pytest.raises(TimeoutError):
            socket.create_connection((host, int(port)), timeout=3)
        run_bootstrap(Steps(), stack, programs)
    assert seen == {CONTROLLER: set(), STRANGER: set(), NEIGHBOUR: set(), ALPHA: set(), scheduler: {"API"}}
    socket.create_connection((host, int(port)), timeout=3).close()


def test_airflow_is_healthy_after_an_upgrade_whose_jobs_all_ran(enforced: EnforcedRelease):
    def healthy() -> None:
        health = enforced.airflow.get("monitor/health")
        if (seen := {name: part["status"] for name, part in health.items()}) != HEALTHY:
            raise NotYet(str(seen))

    def ran() -> set[str]:
        new = [job for uid, job in jobs(enforced.stack).items() if uid not in enforced.jobs_before]
        ended = {
            job["metadata"]["labels"]["app.kubernetes.io/component"]: job["status"].get("succeeded") for job in new
        }
        if ended != dict.fromkeys(ended, 1):
            raise NotYet(str(ended))
        return set(ended)

    wait_for("Airflow to be healthy", healthy, deadline_s=60, interval_s=2)
    seen = wait_for("the jobs to end well", ran, deadline_s=120, interval_s=2)
    assert seen >= {"secrets", "migration", "team-settings"} or enforced.executor != "LocalExecutor"


def test_each_reaches_what_it_needs_and_nothing_else(enforced: EnforcedRelease):
    there, everybody = set(enforced.targets), enforced.public_targets
    own = everybody | ({"database", "broker"} & there)
    at_home = {name: {f"logs-of-{name}"} & there for name in ("scheduler", "triggerer", "worker")}
    assert enforced.find_reachable() == {
        "alpha": {"alpha", "listed", "shop", "names"},
        "beta": {"beta", "names"},
        "stranger": everybody,
        "neighbour": everybody,
        "controller": everybody | {"API"},
        "scheduler": own | {"API"} | at_home["scheduler"],
        "triggerer": own | at_home["triggerer"],
        "dag-processor": own,
        **({"worker": own | {"API"} | at_home["worker"]} if enforced.executor == "CeleryExecutor" else {}),
    }


def test_the_api_server_reaches_the_logs(enforced: EnforcedRelease):
    logs = {name for name in enforced.targets if name.startswith("logs-")}
    assert find_reachable(enforced.stack, enforced.get_pod("api-server"), enforced.targets) >= {"database", *logs}


def test_a_push_is_read_and_its_tasks_run_with_their_logs_and_results(enforced: EnforcedRelease):
    stack, airflow = enforced.stack, enforced.airflow
    text = (DAGS / "executors.py").read_text(encoding="utf-8").replace("executors_", "enforced_")
    url = f"git://{stack.service_address('git-server', 'git')}/alpha.git"
    commit = push_files(url, {"enforced.py": f"# {secrets.token_hex(8)}\n{text}"}, "Run behind the policies")
    airflow.wait_for_version("enforced_deferred", commit)
    runs = [
        Run(stack, airflow, f"enforced_{way}", airflow.trigger_run(f"enforced_{way}"))
        for way in ("waiting", "deferred")
    ]
    runs[1].wait_for_log("Checking pod")  # by the triggerer, which hands it out as long as the task is deferred
    for run in runs:
        assert run.wait_for_end() == "success", run.read_log()
        result = airflow.read_xcom(run.dag, run.id, "work")
        assert f"I am {result['uid']}" in run.read_log()


def test_metrics_come_out_of_airflow_and_go_to_whoever_scrapes(enforced: EnforcedRelease):
    where = f"http://{enforced.targets['metrics']}/metrics"
    space, name = STRANGER.split("/")
    words = f"exec -n {space} {name} -- timeout 10 wget -q -O - {where}".split()

    def probe() -> None:
        if "airflow_scheduler_heartbeat" not in (seen := enforced.stack.kubectl(*words)):
            raise NotYet(f"{len(seen.splitlines())} lines, none of the scheduler")

    wait_for("the scheduler's metrics", probe, deadline_s=60, interval_s=2)


def test_helm_test_passes(enforced: EnforcedRelease):
    words = ["test", RELEASE, "--namespace", NAMESPACE, "--timeout", "4m"]
    enforced.stack.helm(words, lambda _: None, timeout_s=250)
    enforced.stack.kubectl("delete", "pod", f"{RELEASE}-test", "-n", NAMESPACE, "--grace-period=1")


def test_bootstrap_makes_the_connection_that_is_missing(enforced: EnforcedRelease, programs: Path):
    made = enforced.airflow.get("connections/k8s_default")
    enforced.airflow.delete("connections/k8s_default")
    run_bootstrap(Steps(), enforced.stack, programs)
    assert enforced.airflow.get("connections/k8s_default") == made


def test_without_the_policies_all_of_it_is_open(enforced: EnforcedRelease):
    """The control: nothing but the policies refuses the connections above."""
    with enforced.enforcer.pause():
        seen = enforced.find_reachable()
    assert seen == {name: set(enforced.targets) for name in seen}
