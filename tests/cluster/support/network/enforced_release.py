"""The release behind its policies: with which values, what there is to connect to, and who tries."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from cluster.support.airflow_runs.executors import VALUES
from cluster.support.network.connectivity import address, reached
from cluster.support.network.enforcer import Enforcer
from local_cluster.addresses import HOST_IP, KUBERNETES_SERVICE_IP, NODE_IP
from stack.airflow_api import AirflowApi
from stack.release import NAMESPACE, RELEASE, Stack

PEOPLE, STRANGER, SHOP = "enforced-people/controller", "enforced-stranger/stranger", "enforced-shop/shop"
ALPHA, BETA, NEIGHBOUR = "team-alpha/enforced", "team-beta/enforced", f"{NAMESPACE}/enforced"
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


def namespace(pod: str) -> dict[str, Any]:
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": pod.split("/")[0]}}}


# The tests themselves come from outside, as a load balancer does.
_LET_IN = [{"ipBlock": {"cidr": f"{HOST_IP}/32"}}, namespace(PEOPLE)]
_SOME: dict[str, Any] = {"apiServer": {"networkPolicy": {"ingress": {"from": _LET_IN}}}}
_EVERYBODY: dict[str, Any] = {"publicUrl": "https://data.kpo-platform.test"}
WAY_IN = {"LocalExecutor": _SOME, "CeleryExecutor": _SOME, "KubernetesExecutor": _EVERYBODY}
"""Who is let in to the API server; the executor has no part in that, each way is tried with one of them."""


def values(executor: str, port: int) -> dict[str, Any]:
    """The chart's defaults with one executor, what the tests need open, and jobs that differ, so they run again."""
    anew = {"resources": {"requests": {"cpu": "51m", "memory": "512Mi"}}}
    egress = [
        {"to": [{"ipBlock": {"cidr": f"{HOST_IP}/32"}}], "ports": [{"port": port}]},
        {"to": [{**namespace(SHOP), "podSelector": {"matchLabels": {"app": "shop"}}}], "ports": [{"port": "web"}]},
    ]
    return {
        **VALUES[executor],
        **WAY_IN[executor],
        "networkPolicies": {"enabled": True},
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

    @property
    def open_to_everybody(self) -> set[str]:
        """The targets that no policy guards, or that one opens to everybody."""
        airflow = {"database", "broker", *(name for name in self.targets if name.startswith("logs-of-"))}
        people = {"API"} if WAY_IN[self.executor] is _SOME else set()
        return set(self.targets) - airflow - people - {"alpha", "beta"}

    def from_whom(self) -> dict[str, str]:
        """Those who try to connect: the name in these tests → the pod."""
        own = ("scheduler", "triggerer", "dag-processor", *(("worker",) if self.executor == "CeleryExecutor" else ()))
        pods = {component: self.pod(component) for component in own}
        others = {"stranger": STRANGER, "neighbour": NEIGHBOUR, "controller": PEOPLE}
        return {"alpha": ALPHA, "beta": BETA, **others, **pods}

    def reach(self) -> dict[str, set[str]]:
        return {name: reached(self.stack, pod, self.targets) for name, pod in self.from_whom().items()}


def targets(stack: Stack, executor: str, ports: list[int]) -> dict[str, str]:
    """What there is to connect to; the shop is known by its name only, so whoever gets there has found it by DNS."""
    logs = {"scheduler": 8793, "triggerer": 8794, "worker": 8793}
    celery = {"broker": stack.service_address(f"{RELEASE}-redis")} if executor == "CeleryExecutor" else {}
    return {
        "database": stack.service_address(f"{RELEASE}-postgresql"),
        "API": stack.service_address(f"{RELEASE}-api-server"),
        "metrics": f"{stack.service_address(f'{RELEASE}-statsd').split(':')[0]}:9102",
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
