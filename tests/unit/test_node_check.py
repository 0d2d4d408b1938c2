"""bootstrap.registry: login checks from a node, in runs of platformctl bootstrap."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kpo_platform.bootstrap.registry import node_check
from kpo_platform.bootstrap.registry.login_check import LoginStatus
from unit.support.http_server import Answer as ServerAnswer
from unit.support.http_server import Request, serving, status
from unit.support.platform_server import CHECK, Platform
from unit.support.platformctl import Cluster, CommandResult, Platformctl
from unit.support.registry_server import build_config, patch_name_resolution, set_registry_host

SECRET = "/api/v1/namespaces/team-alpha/secrets/regcred"
CHECK_SECRET = CHECK.replace("pods", "secrets")
NOT_FOUND = 'failed to pull and unpack image "registry.test/kpo-platform/login-check:none": not found'
WRONG = "unexpected status from HEAD request to http://registry.test/v2/x/manifests/none: 401 Unauthorized"


class ClusterWithNode:
    """A cluster whose node reports a pull error for the check's pod."""

    def __init__(self, platform: Platform, message: str, pod_status: dict[str, Any] | None = None) -> None:
        self.platform, self.message, self.pod_status = platform, message, pod_status
        self.refusal: ServerAnswer | None = None
        self.pods: list[dict[str, Any]] = []
        self.trace: list[str] = []
        platform.refused.discard(CHECK)

    def __call__(self, request: Request) -> ServerAnswer:
        path = request.path.partition("?")[0]
        if self.refusal and path == CHECK and request.method == "PATCH":
            return self.refusal
        if path in (CHECK, CHECK_SECRET) and "dryRun" not in request.path:
            kind = path.split("/")[-2]
            gated = request.method == "PATCH" and "schedulingGates" in request.body["spec"] if kind == "pods" else False
            self.trace.append(f"{request.method} {kind}{' gated' if gated else ''}")
            if request.method == "DELETE":
                return 200, self.platform.objects.pop(path, {})
            if request.method == "GET":
                waiting = {"reason": "ErrImagePull", "message": self.message}
                failed = {"containerStatuses": [{"name": "base", "state": {"waiting": waiting}}]}
                return 200, {**self.platform.objects[path], "status": self.pod_status or failed}
            self.pods.append(request.body)
        return self.platform(request)


def run_with_node(
    platformctl: Platformctl, cluster: Cluster, tmp_path: Path, node_cluster: ClusterWithNode
) -> CommandResult:
    set_registry_host("elsewhere.test", cluster.platform)
    folder = tmp_path / "node"
    folder.mkdir()
    with serving(node_cluster) as server:
        words = ("--kubeconfig", server.kubeconfig(folder), "--airflow-url", server.url, "--team", "alpha", "--yes")
        return platformctl(
            "bootstrap", *words, "--registry-config", "-", stdin=build_config("elsewhere.test", "s3cret")
        )


TRACE = [
    *["DELETE secrets", "DELETE pods"],  # left by a killed run
    *["PATCH pods gated", "PATCH secrets", "PATCH pods", "GET pods"],
    *["DELETE secrets", "DELETE pods"],
]


def test_node_checks_a_registry_that_only_the_cluster_reaches(
    platformctl: Platformctl, cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    patch_name_resolution(monkeypatch)
    node_cluster = ClusterWithNode(cluster.platform, NOT_FOUND)
    result = run_with_node(platformctl, cluster, tmp_path, node_cluster)
    assert (result.code, node_cluster.trace) == (0, TRACE), result.err
    assert (
        "✔ Secret team-alpha/regcred: type kubernetes.io/dockerconfigjson, for elsewhere.test; "
        "login accepted (checked from a node, which reported: not found)" in result.out.splitlines()
    )
    assert "► Check the login to registry elsewhere.test from a node" in result.err.splitlines()
    pod = node_cluster.pods[-1]
    assert pod["spec"]["imagePullSecrets"] == [{"name": "registry-check"}]
    assert pod["spec"]["containers"][0]["image"] == "elsewhere.test/kpo-platform/login-check:none"
    assert [volume["name"] for volume in pod["spec"]["volumes"]] == ["work"]  # the team's claim may not exist yet
    assert (pod["spec"]["serviceAccountName"], pod["metadata"]["namespace"]) == ("team-pod", "team-alpha")
    owner = node_cluster.pods[1]["metadata"]["ownerReferences"]
    assert owner == [{"apiVersion": "v1", "kind": "Pod", "name": "registry-check", "uid": CHECK}]


def test_login_rejected_on_a_node_leaves_nothing_behind(
    platformctl: Platformctl, cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    patch_name_resolution(monkeypatch)
    node_cluster = ClusterWithNode(cluster.platform, WRONG)
    result = run_with_node(platformctl, cluster, tmp_path, node_cluster)
    assert (result.code, node_cluster.trace) == (3, TRACE), result.err
    assert result.err.splitlines()[-1] == (
        "Error: Registry elsewhere.test rejected the login (checked from a node, which reported: 401 Unauthorized). "
        "Nothing was written. Run docker login elsewhere.test or pass other credentials, and run again."
    )
    assert not {SECRET, CHECK, CHECK_SECRET} & cluster.platform.objects.keys()


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        (NOT_FOUND, LoginStatus.ACCEPTED),
        (WRONG, LoginStatus.REJECTED),
        (
            "pull access denied, repository does not exist or may require authorization: "
            "server message: insufficient_scope: authorization failed",
            LoginStatus.ACCEPTED,
        ),
        (
            "failed to authorize: failed to fetch oauth token: unexpected status from GET request to "
            "https://auth.docker.io/token?scope=x: 401 Unauthorized",
            LoginStatus.REJECTED,
        ),
        ("reading manifest none in registry.test/x: unauthorized: authentication required", LoginStatus.REJECTED),
        ("reading manifest none in registry.test/x: manifest unknown", LoginStatus.ACCEPTED),
        ("dial tcp: lookup registry.test on 10.96.0.10:53: no such host", LoginStatus.UNVERIFIED),
        ("tls: failed to verify certificate: x509: certificate signed by unknown authority", LoginStatus.UNVERIFIED),
        ("http: server gave HTTP response to HTTPS client", LoginStatus.UNVERIFIED),
    ],
)
def test_pull_message_of_a_node_is_parsed(message: str, answer: LoginStatus):
    assert node_check.parse_pull_message(message).status is answer


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (
            "dial tcp: lookup elsewhere.test on 10.96.0.10:53: no such host",
            "The node cannot resolve the name of registry elsewhere.test (ErrImagePull). Correct the registry in the "
            "name of the image; if it is right, the platform team checks the DNS of the nodes. "
            "[KPO-IMG111: docs/troubleshooting.md#kpo-img111]",
        ),
        ("never seen", "The image elsewhere.test/kpo-platform/login-check:none cannot be pulled: never seen"),
    ],
)
def test_node_that_cannot_ask_the_registry_says_why_with_a_code(
    platformctl: Platformctl,
    cluster: Cluster,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    message: str,
    reason: str,
):
    patch_name_resolution(monkeypatch)
    result = run_with_node(platformctl, cluster, tmp_path, ClusterWithNode(cluster.platform, message))
    assert (result.code, f"not checked from a node: {reason}" in result.out) == (0, True), result.out


def test_pod_that_has_no_node_says_why_with_a_code(
    platformctl: Platformctl, cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/1 nodes are available: 1 node(s) were unschedulable.",
    }
    monkeypatch.setattr(node_check, "_TIMEOUT_SECONDS", 1.0)
    patch_name_resolution(monkeypatch)
    node_cluster = ClusterWithNode(cluster.platform, "", {"phase": "Pending", "conditions": [condition]})
    result = run_with_node(platformctl, cluster, tmp_path, node_cluster)
    reason = "1 of 1 nodes are cordoned, and take no new pods (Unschedulable). For the platform team: Find them"
    assert (result.code, f"not checked from a node: {reason}" in result.out) == (0, True), result.out


def test_refused_pod_says_why_with_a_code(
    platformctl: Platformctl, cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    message = 'pods "registry-check" is forbidden: exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2'
    patch_name_resolution(monkeypatch)
    node_cluster = ClusterWithNode(cluster.platform, "")
    node_cluster.refusal = status(403, message)
    result = run_with_node(platformctl, cluster, tmp_path, node_cluster)
    reason = 'The quota "q" of team-alpha has no room for the pod: pods 2 of 2 used, and the pod needs 1 more'
    assert (result.code, f"not checked from a node: {reason}" in result.out, node_cluster.pods) == (0, True, [])
    assert "[KPO-ADM101: docs/troubleshooting.md#kpo-adm101]" in result.out
