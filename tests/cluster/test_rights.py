"""Rights, tried with real tokens: what an identity may do in its own namespace it may not do in another's.

Each right is tried for itself, as a dry run where it would change something. Asking the API server whether it
would be allowed says what RBAC thinks; doing it says what happens.
"""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from ssl import create_default_context
from typing import Any

import pytest

from road.stack import Stack

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "rights", "labels": {"made-by": "rights"}},
    "spec": {
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 50000,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": "base",
                "image": "localhost/kpo-platform/busybox:1.35",
                "command": ["sleep", "600"],
                "resources": {
                    "requests": {"cpu": "1m", "memory": "8Mi"},
                    "limits": {"cpu": "100m", "memory": "32Mi"},
                },
                "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
            }
        ],
    },
}

DRY = "?dryRun=All"
PODS = "/api/v1/namespaces/{namespace}/pods"
REQUESTS: dict[str, tuple[str, str, str]] = {
    "create pods": ("POST", PODS + DRY, json.dumps({**POD, "metadata": {"name": "rights-dry"}})),
    "get pods": ("GET", PODS + "/rights", ""),
    "list pods": ("GET", PODS, ""),
    "watch pods": ("GET", PODS + "?watch=true&timeoutSeconds=1", ""),
    "patch pods": ("PATCH", PODS + "/rights" + DRY, '{"metadata": {"labels": {"seen": "yes"}}}'),
    "delete pods": ("DELETE", PODS + "/rights" + DRY, ""),
    "get pods/log": ("GET", PODS + "/rights/log", ""),
    "create pods/exec": ("POST", PODS + "/rights/exec?command=true&stdout=true", ""),
    "get pods/exec": ("GET", PODS + "/rights/exec?command=true&stdout=true", ""),
    "list events": ("GET", "/api/v1/namespaces/{namespace}/events", ""),
    "watch events": ("GET", "/api/v1/namespaces/{namespace}/events?watch=true&timeoutSeconds=1", ""),
    "list secrets": ("GET", "/api/v1/namespaces/{namespace}/secrets", ""),
    "get secrets": ("GET", "/api/v1/namespaces/{namespace}/secrets/regcred", ""),
    "create secrets": (
        "POST",
        "/api/v1/namespaces/{namespace}/secrets" + DRY,
        '{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "rights"}}',
    ),
    "list configmaps": ("GET", "/api/v1/namespaces/{namespace}/configmaps", ""),
    "list persistentvolumeclaims": ("GET", "/api/v1/namespaces/{namespace}/persistentvolumeclaims", ""),
}

LAUNCHER = frozenset(name for name in REQUESTS if "pods" in name or "events" in name)
"""What rbac/pod-launcher.yaml grants; the chart's tests hold the file, this holds the cluster."""


@dataclass(frozen=True)
class Identity:
    """A service account that speaks to the API server with a token of its own."""

    server: str
    ca: str
    token: str

    def try_(self, request: str, namespace: str) -> int:
        """Send one request and give the HTTP status that came back."""
        method, path, body = REQUESTS[request]
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        call = urllib.request.Request(
            self.server + path.format(namespace=namespace),
            body.encode() or None,
            {"Authorization": f"Bearer {self.token}", "Content-Type": kind},
            method=method,
        )
        try:
            with urllib.request.urlopen(call, timeout=30, context=create_default_context(cadata=self.ca)) as reply:
                reply.read()
                return int(reply.status)
        except urllib.error.HTTPError as error:
            return error.code


@pytest.fixture(scope="module")
def identities(stack: Stack) -> dict[str, Identity]:
    """Airflow's and the teams' accounts, each with a token by TokenRequest."""
    view = json.loads(stack.kubectl("config", "view", "--raw", "--flatten", "-o", "json"))
    cluster = view["clusters"][0]["cluster"]
    ca = base64.b64decode(cluster["certificate-authority-data"]).decode()

    def identity(account: str, namespace: str) -> Identity:
        token = stack.kubectl("create", "token", account, "-n", namespace, "--duration=10m").strip()
        return Identity(cluster["server"], ca, token)

    return {
        "scheduler": identity("airflow-scheduler", "airflow"),
        "triggerer": identity("airflow-triggerer", "airflow"),
        "api-server": identity("airflow-api-server", "airflow"),
        "dag-processor": identity("airflow-dag-processor", "airflow"),
        "alpha": identity("team-pod", "team-alpha"),
        "beta": identity("team-pod", "team-beta"),
    }


@pytest.fixture(scope="module")
def stranger(namespace_factory: Any) -> str:
    """A namespace that is nobody's team."""
    return str(namespace_factory("rights-stranger").name)


@pytest.fixture(scope="module", autouse=True)
def a_running_pod_in_each_namespace(stack: Stack, stranger: str) -> Iterator[None]:
    """Something to get, patch, exec into and delete, in the teams' namespaces and in a stranger's."""
    namespaces = ("team-alpha", "team-beta", stranger)
    for namespace in namespaces:
        stack.kubectl("delete", "pod", "rights", "-n", namespace, "--ignore-not-found", "--grace-period=1")
        stack.kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(POD))
    for namespace in namespaces:
        stack.kubectl("wait", "pod/rights", "-n", namespace, "--for=condition=Ready", "--timeout=60s", timeout_s=70)
    yield
    for namespace in namespaces:
        stack.kubectl("delete", "pod", "rights", "-n", namespace, "--grace-period=1", "--wait=false")


def granted(identity: Identity, namespace: str) -> set[str]:
    """The requests that the API server did not refuse. 400 stands for exec without an upgrade: it was let in."""
    statuses = {request: identity.try_(request, namespace) for request in REQUESTS}
    unexpected = {request: status for request, status in statuses.items() if status not in (200, 201, 400, 403, 404)}
    assert not unexpected
    return {request for request, status in statuses.items() if status != 403}


@pytest.mark.parametrize("account", ["scheduler", "triggerer"])
@pytest.mark.parametrize("namespace", ["team-alpha", "team-beta"])
def test_airflow_may_launch_pods_in_every_teams_namespace_and_nothing_else(
    identities: dict[str, Identity], account: str, namespace: str
):
    assert granted(identities[account], namespace) == LAUNCHER


@pytest.mark.parametrize("account", ["scheduler", "triggerer"])
@pytest.mark.parametrize("namespace", ["airflow", "kube-system", "rights-stranger"])
def test_airflow_may_do_nothing_outside_the_teams(identities: dict[str, Identity], account: str, namespace: str):
    assert granted(identities[account], namespace) == set()


@pytest.mark.parametrize("account", ["api-server", "dag-processor"])
@pytest.mark.parametrize("namespace", ["airflow", "team-alpha"])
def test_parts_of_airflow_that_launch_nothing_have_no_rights(
    identities: dict[str, Identity], account: str, namespace: str
):
    assert granted(identities[account], namespace) == set()


@pytest.mark.parametrize("team", ["alpha", "beta"])
@pytest.mark.parametrize("namespace", ["team-alpha", "team-beta", "airflow"])
def test_a_teams_pods_have_no_rights_in_their_own_or_any_other_namespace(
    identities: dict[str, Identity], team: str, namespace: str
):
    assert granted(identities[team], namespace) == set()


def test_the_tokens_are_good(identities: dict[str, Identity], stack: Stack):
    """The positive control of every refusal above: each token is known to the API server as who it claims to be."""
    for name, identity in identities.items():
        review = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": identity.token},
        }
        status = json.loads(stack.kubectl("create", "-o", "json", "-f", "-", stdin=json.dumps(review)))["status"]
        assert status["authenticated"] is True, name


def test_no_cluster_role_was_made_for_airflow_or_a_team(stack: Stack):
    bindings = stack.get("clusterrolebindings")["items"]
    subjects = [s.get("namespace", "") for b in bindings for s in b.get("subjects", [])]
    assert [n for n in subjects if n == "airflow" or n.startswith("team-")] == []
