"""The release with enforced network policies: its values, connection targets and source pods."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from cluster.support.airflow_runs.executors import EXECUTOR_VALUES
from cluster.support.network.connectivity import find_reachable, pod_address
from cluster.support.network.enforcer import Enforcer
from local_cluster.addresses import HOST_IP, KUBERNETES_SERVICE_IP, NODE_IP
from stack.airflow_api import AirflowApi
from stack.release import NAMESPACE, RELEASE, Stack

CONTROLLER, STRANGER, SHOP = "enforced-people/controller", "enforced-stranger/stranger", "enforced-shop/shop"
ALPHA, BETA, NEIGHBOUR = "team-alpha/enforced", "team-beta/enforced", f"{NAMESPACE}/enforced"
SHOP_SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "shop", "namespace": "enforced-shop"},
    "spec": {"selector": {"app": "shop"}, "ports": [{"port": 80, "targetPort": "web"}]},
}
LOG_SERVERS = {
    "LocalExecutor": ("scheduler", "triggerer"),
    "CeleryExecutor": ("triggerer", "worker"),
    "KubernetesExecutor": (),
}
"""The components that serve the logs of tasks that ran in them."""


def namespace_peer(pod: str) -> dict[str, Any]:
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": pod.split("/")[0]}}}


# The tests connect from outside, like a load balancer.
_SOURCES = [{"ipBlock": {"cidr": f"{HOST_IP}/32"}}, namespace_peer(CONTROLLER)]
_RESTRICTED: dict[str, Any] = {"apiServer": {"networkPolicy": {"ingress": {"from": _SOURCES}}}}
_PUBLIC: dict[str, Any] = {"publicUrl": "https://data.kpo-platform.test"}
API_INGRESS = {"LocalExecutor": _RESTRICTED, "CeleryExecutor": _RESTRICTED, "KubernetesExecutor": _PUBLIC}
"""Who may connect to the API server; it does not depend on the executor, each way is tested with one of them."""


def release_values(executor: str, port: int) -> dict[str, Any]:
    """Return values with an executor, the tests' exceptions, and changed Jobs.

    The Jobs are changed so that they run again.
    """
    changed_resources = {"resources": {"requests": {"cpu": "51m", "memory": "512Mi"}}}
    egress = [
        {"to": [{"ipBlock": {"cidr": f"{HOST_IP}/32"}}], "ports": [{"port": port}]},
        {"to": [{**namespace_peer(SHOP), "podSelector": {"matchLabels": {"app": "shop"}}}], "ports": [{"port": "web"}]},
    ]
    return {
        **EXECUTOR_VALUES[executor],
        **API_INGRESS[executor],
        "networkPolicies": {"enabled": True},
        "statsd": {"enabled": True},
        **dict.fromkeys(("secretsJob", "migrateDatabaseJob", "teamSettingsJob"), changed_resources),
        "teams": {"alpha": {"network": {"egress": egress}}},
    }


@dataclass(frozen=True)
class EnforcedRelease:
    """The release with one executor and enforced policies.

    Attributes:
        executor: name of the executor.
        enforcer: the enforcement of the policies.
        airflow: a client that connects from outside.
        targets: the connection targets: name → `host:port`.
        jobs_before: the Jobs that had run before.
    """

    stack: Stack
    executor: str
    enforcer: Enforcer
    airflow: AirflowApi
    jobs_before: set[str]
    targets: dict[str, str] = field(default_factory=dict)

    def list_pods(self, component: str) -> list[str]:
        """Return the running pods of a component of Airflow."""
        selector = f"app.kubernetes.io/instance={RELEASE},app.kubernetes.io/component={component}"
        pods = self.stack.get("pods", "-n", NAMESPACE, "-l", selector, "--field-selector=status.phase=Running")["items"]
        return [f"{NAMESPACE}/{pod['metadata']['name']}" for pod in pods if "deletionTimestamp" not in pod["metadata"]]

    def get_pod(self, component: str) -> str:
        (pod,) = self.list_pods(component)
        return pod

    @property
    def public_targets(self) -> set[str]:
        """The targets without a policy, or with a policy that allows all sources."""
        airflow = {"database", "broker", *(name for name in self.targets if name.startswith("logs-of-"))}
        restricted = {"API"} if API_INGRESS[self.executor] is _RESTRICTED else set()
        return set(self.targets) - airflow - restricted - {"alpha", "beta"}

    def source_pods(self) -> dict[str, str]:
        """Return the pods that connect: name in these tests → pod."""
        components = (
            "scheduler",
            "triggerer",
            "dag-processor",
            *(("worker",) if self.executor == "CeleryExecutor" else ()),
        )
        pods = {component: self.get_pod(component) for component in components}
        others = {"stranger": STRANGER, "neighbour": NEIGHBOUR, "controller": CONTROLLER}
        return {"alpha": ALPHA, "beta": BETA, **others, **pods}

    def find_reachable(self) -> dict[str, set[str]]:
        return {name: find_reachable(self.stack, pod, self.targets) for name, pod in self.source_pods().items()}


def connection_targets(stack: Stack, executor: str, ports: list[int]) -> dict[str, str]:
    """Return the connection targets.

    The shop has only a name, so connecting to it includes a DNS query.
    """
    logs = {"scheduler": 8793, "triggerer": 8794, "worker": 8793}
    celery = {"broker": stack.service_address(f"{RELEASE}-redis")} if executor == "CeleryExecutor" else {}
    return {
        "database": stack.service_address(f"{RELEASE}-postgresql"),
        "API": stack.service_address(f"{RELEASE}-api-server"),
        "metrics": f"{stack.service_address(f'{RELEASE}-statsd').split(':')[0]}:9102",
        **{
            f"logs-of-{name}": pod_address(stack, f"{NAMESPACE}/{RELEASE}-{name}-0", logs[name])
            for name in LOG_SERVERS[executor]
        },
        **celery,
        "alpha": pod_address(stack, ALPHA, 8000),
        "beta": pod_address(stack, BETA, 8000),
        "shop": "shop.enforced-shop.svc.cluster.local:80",
        "listed": f"{HOST_IP}:{ports[0]}",
        "elsewhere": f"{HOST_IP}:{ports[1]}",
        "kubernetes": f"{KUBERNETES_SERVICE_IP}:443",
        "names": f"{NODE_IP}:53",
    }
