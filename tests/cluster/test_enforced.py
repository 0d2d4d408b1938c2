"""The network policies, enforced: Airflow works behind them, and by real connections nobody gets where he need not.

The local cluster's own network enforces none; `cluster.enforcing` does, while these tests run.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.enforcing import Enforcer, enforcing
from cluster.executors import CLAIM, VALUES, WORKERS
from cluster.reaching import address, outside, reached, standing
from cluster.runs import DAGS, Run
from common.steps import Steps
from common.waiting import NotYet, wait_for
from local_cluster.addresses import HOST_IP, KUBERNETES_SERVICE_IP, NODE_IP
from road.airflow_api import AirflowApi
from road.bring_up import bootstrap, install
from road.hello import connect
from road.repository import push
from road.stack import NAMESPACE, RELEASE, Stack

PEOPLE, STRANGER, SHOP = "enforced-people/controller", "enforced-stranger/stranger", "enforced-shop/shop"
ALPHA, BETA = "team-alpha/enforced", "team-beta/enforced"
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "shop", "namespace": "enforced-shop"},
    "spec": {"selector": {"app": "shop"}, "ports": [{"port": 80, "targetPort": "web"}]},
}
LOGS_AT = {
    "LocalExecutor": ("scheduler", "triggerer"),
    "CeleryExecutor": ("triggerer", "worker"),
    "KubernetesExecutor": (),
}
"""The components that hand out the logs of what ran in them."""

HEALTHY = dict.fromkeys(("metadatabase", "scheduler", "triggerer", "dag_processor"), "healthy")


def namespace(pod: str) -> dict[str, Any]:
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": pod.split("/")[0]}}}


def values(executor: str, port: int) -> dict[str, Any]:
    """The chart's defaults with one executor, what the tests need open, and jobs that differ, so they run again."""
    anew = {"resources": {"requests": {"cpu": "51m", "memory": "512Mi"}}}
    egress = [
        {"to": [{"ipBlock": {"cidr": f"{HOST_IP}/32"}}], "ports": [{"port": port}]},
        {"to": [{**namespace(SHOP), "podSelector": {"matchLabels": {"app": "shop"}}}], "ports": [{"port": "web"}]},
    ]
    # The tests themselves come from outside, as a load balancer does.
    people = [{"ipBlock": {"cidr": f"{HOST_IP}/32"}}, namespace(PEOPLE)]
    return {
        **VALUES[executor],
        "networkPolicies": {"enabled": True},
        "apiServer": {"networkPolicy": {"ingress": {"from": people}}},
        "statsd": {"enabled": True},
        **dict.fromkeys(("secretsJob", "migrateDatabaseJob", "teamSettingsJob"), anew),
        "teams": {"alpha": {"network": {"egress": egress}}},
    }


@dataclass(frozen=True)
class Enforced:
    """The release with one executor, installed and running behind its policies.

    Attributes:
        executor: its name.
        enforcer: what enforces them.
        airflow: its API, as those reach it who come from outside.
        targets: what there is to connect to: name → `host:port`.
        jobs_before: the jobs that had run before.
    """

    stack: Stack
    executor: str
    enforcer: Enforcer
    airflow: AirflowApi
    jobs_before: set[str]
    targets: dict[str, str] = field(default_factory=dict)

    def pods(self, component: str) -> list[str]:
        """The pods of a component of Airflow that run."""
        own = f"app.kubernetes.io/instance={RELEASE},app.kubernetes.io/component={component}"
        found = self.stack.get("pods", "-n", NAMESPACE, "-l", own, "--field-selector=status.phase=Running")["items"]
        return [f"{NAMESPACE}/{pod['metadata']['name']}" for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def pod(self, component: str) -> str:
        (pod,) = self.pods(component)
        return pod

    def from_whom(self) -> dict[str, str]:
        """Those who try to connect: the name in these tests → the pod."""
        own = ("scheduler", "triggerer", "dag-processor", *(("worker",) if self.executor == "CeleryExecutor" else ()))
        pods = {component: self.pod(component) for component in own}
        return {"alpha": ALPHA, "beta": BETA, "stranger": STRANGER, "controller": PEOPLE, **pods}

    def reach(self) -> dict[str, set[str]]:
        return {name: reached(self.stack, pod, self.targets) for name, pod in self.from_whom().items()}


def targets(stack: Stack, executor: str, ports: list[int]) -> dict[str, str]:
    """What there is to connect to; the shop is known by its name only, so whoever gets there has found it by DNS."""
    logs = {"scheduler": 8793, "triggerer": 8794, "worker": 8793}
    celery = {"broker": stack.address_of(f"{RELEASE}-redis")} if executor == "CeleryExecutor" else {}
    return {
        "database": stack.address_of(f"{RELEASE}-postgresql"),
        "API": stack.address_of(f"{RELEASE}-api-server"),
        "metrics": f"{stack.address_of(f'{RELEASE}-statsd').split(':')[0]}:9102",
        **{
            f"logs-of-{name}": address(stack, f"{NAMESPACE}/{RELEASE}-{name}-0", logs[name])
            for name in LOGS_AT[executor]
        },
        **celery,
        "alpha": address(stack, ALPHA, 8000),
        "beta": address(stack, BETA, 8000),
        "shop": "shop.enforced-shop.svc.cluster.local:80",
        "listed": f"{HOST_IP}:{ports[0]}",
        "elsewhere": f"{HOST_IP}:{ports[1]}",
        "kubernetes": f"{KUBERNETES_SERVICE_IP}:443",
        "names": f"{NODE_IP}:53",
    }


def jobs(stack: Stack) -> dict[str, dict[str, Any]]:
    return {each["metadata"]["uid"]: each for each in stack.get("jobs", "-n", NAMESPACE)["items"]}


@pytest.fixture(scope="module")
def around(stack: Stack) -> Iterator[list[int]]:
    """Everybody who tries to connect, and two ports outside; afterwards the release is as it was."""
    with outside(2) as ports, standing(stack, PEOPLE, STRANGER, SHOP, ALPHA, BETA):
        try:
            stack.kubectl("create", "-f", "-", stdin=json.dumps(SERVICE))
            stack.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(CLAIM))
            yield ports
        finally:
            install(Steps(), stack)
            stack.kubectl("delete", "pods", "-n", NAMESPACE, "-l", WORKERS, timeout_s=120)
            stack.kubectl("delete", "pvc", CLAIM["metadata"]["name"], "-n", NAMESPACE, timeout_s=120)


@pytest.fixture(scope="module", params=list(VALUES))
def enforced(
    stack: Stack, around: list[int], tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Enforced]:
    """The release with one executor after the other, by an upgrade behind the policies."""
    executor = str(request.param)
    file = tmp_path_factory.mktemp("values") / "enforced.yaml"
    file.write_text(yaml.safe_dump(values(executor, around[0])))
    with enforcing(stack) as enforcer:
        before = set(jobs(stack))
        install(Steps(), stack, file)
        yield Enforced(stack, executor, enforcer, connect(stack), before, targets(stack, executor, around))


def test_airflow_is_healthy_after_an_upgrade_whose_jobs_all_ran(enforced: Enforced):
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


def test_each_reaches_what_it_needs_and_nothing_else(enforced: Enforced):
    everything = set(enforced.targets)
    closed = {"database", "API", "broker", "alpha", "beta", *(name for name in everything if name.startswith("logs-"))}
    own = everything - closed | ({"database", "broker"} & everything)
    at_home = {name: {f"logs-of-{name}"} & everything for name in ("scheduler", "triggerer", "worker")}
    assert enforced.reach() == {
        "alpha": {"alpha", "listed", "shop", "names"},
        "beta": {"beta", "names"},
        "stranger": everything - closed,
        "controller": everything - closed | {"API"},
        "scheduler": own | {"API"} | at_home["scheduler"],
        "triggerer": own | at_home["triggerer"],
        "dag-processor": own,
        **({"worker": own | {"API"} | at_home["worker"]} if enforced.executor == "CeleryExecutor" else {}),
    }


def test_the_api_server_reaches_the_logs(enforced: Enforced):
    logs = {name for name in enforced.targets if name.startswith("logs-")}
    assert reached(enforced.stack, enforced.pod("api-server"), enforced.targets) >= {"database", *logs}


def test_a_push_is_read_and_its_tasks_run_with_their_logs_and_results(enforced: Enforced):
    stack, airflow = enforced.stack, enforced.airflow
    text = (DAGS / "executors.py").read_text(encoding="utf-8").replace("executors_", "enforced_")
    url = f"git://{stack.address_of('git-server', 'git')}/alpha.git"
    commit = push(url, {"enforced.py": f"# {secrets.token_hex(8)}\n{text}"}, "Run behind the policies")
    airflow.wait_for_version("enforced_deferred", commit)
    runs = [
        Run(stack, airflow, f"enforced_{way}", airflow.trigger(f"enforced_{way}")) for way in ("waiting", "deferred")
    ]
    for run in runs:
        assert run.end() == "success", run.log()
        result = airflow.xcom(run.dag, run.id, "work")
        assert f"I am {result['uid']}" in run.log()


def test_metrics_come_out_of_airflow_and_go_to_whoever_scrapes(enforced: Enforced):
    where = f"http://{enforced.targets['metrics']}/metrics"
    words = (
        "exec",
        "-n",
        STRANGER.split("/")[0],
        STRANGER.split("/")[1],
        "--",
        "timeout",
        "10",
        "wget",
        "-q",
        "-O",
        "-",
    )

    def probe() -> None:
        if "airflow_scheduler_heartbeat" not in (seen := enforced.stack.kubectl(*words, where)):
            raise NotYet(f"{len(seen.splitlines())} lines, none of the scheduler")

    wait_for("the scheduler's metrics", probe, deadline_s=60, interval_s=2)


def test_helm_test_passes(enforced: Enforced):
    words = ["test", RELEASE, "--namespace", NAMESPACE, "--timeout", "4m"]
    enforced.stack.helm(words, lambda _: None, timeout_s=250)
    enforced.stack.kubectl("delete", "pod", f"{RELEASE}-test", "-n", NAMESPACE, "--grace-period=1")


def test_bootstrap_comes_by_way_of_the_node(enforced: Enforced, programs: Path):
    made = enforced.airflow.get("connections/k8s_default")
    enforced.airflow.delete("connections/k8s_default")
    bootstrap(Steps(), enforced.stack, programs)
    assert enforced.airflow.get("connections/k8s_default") == made


def test_without_the_policies_all_of_it_is_open(enforced: Enforced):
    """The control: nothing but the policies refuses the connections above."""
    with enforced.enforcer.paused():
        seen = enforced.reach()
    assert seen == {name: set(enforced.targets) for name in seen}
