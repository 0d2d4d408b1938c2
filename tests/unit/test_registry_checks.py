"""bootstrap.registry: login checks from this machine and from a node, in runs of platformctl bootstrap."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kpo_platform.bootstrap.model import RegistryLogin
from kpo_platform.bootstrap.registry import login_check, node_check, pull_secret
from kpo_platform.bootstrap.registry.docker_config import read_secret_logins
from kpo_platform.bootstrap.registry.hosts import normalize_host
from kpo_platform.bootstrap.registry.login_check import LoginStatus
from unit.support.contracts import build_contract
from unit.support.http_server import Answer as ServerAnswer
from unit.support.http_server import Request, serving
from unit.support.platform_server import CHECK, Platform
from unit.support.platformctl import Cluster, CommandResult, Platformctl
from unit.support.registry_server import Registry, patch_name_resolution, serve_registry

SECRET = "/api/v1/namespaces/team-alpha/secrets/regcred"
CHECK_SECRET = CHECK.replace("pods", "secrets")
NOT_FOUND = 'failed to pull and unpack image "registry.test/kpo-platform/login-check:none": not found'
WRONG = "unexpected status from HEAD request to http://registry.test/v2/x/manifests/none: 401 Unauthorized"


def build_config(host: str, password: str) -> str:
    return json.dumps({"auths": {host: {"username": "robot", "password": password}}})


def set_registry_host(host: str, platform: Platform) -> None:
    """Set the registry of team alpha in the contract."""
    data = platform.objects["/api/v1/namespaces/airflow/configmaps/airflow-contract"]["data"]
    data["contract.json"] = data["contract.json"].replace('"registry.test"', f'"{host}"')


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cluster: Cluster) -> Iterator[Registry]:
    monkeypatch.setattr(login_check, "_CERTIFICATES", (str(tmp_path),))
    patch_name_resolution(monkeypatch)
    with serve_registry(tmp_path) as running:
        set_registry_host(running.host, cluster.platform)
        yield running


def run_bootstrap(platformctl: Platformctl, cluster: Cluster, text: str, *more: str) -> CommandResult:
    return platformctl(*cluster.bootstrap, "--team", "alpha", "--registry-config", "-", *more, stdin=text)


def test_accepted_login_is_written_and_is_the_evidence(platformctl: Platformctl, cluster: Cluster, registry: Registry):
    result = run_bootstrap(platformctl, cluster, build_config(registry.host, "s3cret"), "--yes")
    assert (result.code, result.out.splitlines()[0]) == (
        0,
        f"+ Secret team-alpha/regcred: create (registry {registry.host}; login accepted (checked from this machine))",
    )
    assert (
        f"✔ Secret team-alpha/regcred: type kubernetes.io/dockerconfigjson, for {registry.host}; "
        "login accepted (checked from this machine)" in result.out.splitlines()
    )
    assert len(registry.seen) == 2  # one login check: a request without and one with the password


@pytest.mark.parametrize("option", ["--yes", "--dry-run"])
def test_rejected_login_writes_nothing(platformctl: Platformctl, cluster: Cluster, registry: Registry, option: str):
    result = run_bootstrap(platformctl, cluster, build_config(registry.host, "wrong"), option)
    assert (result.code, result.out, cluster.platform.writes) == (3, "", 0)
    assert result.err.splitlines()[-1] == (
        f"Error: Registry {registry.host} rejected the login (HTTP 401, checked from this machine). Nothing was "
        f"written. Run docker login {registry.host} or pass other credentials, and run again."
    )
    assert "wrong" not in result.err


def test_password_changed_at_the_registry_fails_the_next_run(
    platformctl: Platformctl, cluster: Cluster, registry: Registry, monkeypatch: pytest.MonkeyPatch
):
    assert run_bootstrap(platformctl, cluster, build_config(registry.host, "s3cret"), "--yes").code == 0
    monkeypatch.setattr("unit.support.registry_server.BASIC", "Basic other")
    result = run_bootstrap(platformctl, cluster, "{}", "--yes")
    assert result.code == 1
    assert (
        f"✗ Secret team-alpha/regcred: type kubernetes.io/dockerconfigjson, for {registry.host}; "
        "login rejected (HTTP 401, checked from this machine). "
        f"Run docker login {registry.host}, and run bootstrap again" in result.out.splitlines()
    )


def test_login_without_node_rights_is_written_unverified(
    platformctl: Platformctl, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
):
    patch_name_resolution(monkeypatch)
    set_registry_host("elsewhere.test", cluster.platform)
    result = run_bootstrap(platformctl, cluster, build_config("elsewhere.test", "s3cret"), "--yes")
    assert (result.code, SECRET in cluster.platform.objects) == (0, True)
    assert (
        "? Secret team-alpha/regcred: type kubernetes.io/dockerconfigjson, for elsewhere.test; login unverified "
        "(not checked from this machine: the registry's name cannot be resolved; not checked from a node: this needs "
        "the rights of rbac/bootstrap-operator-registry.yaml)" in result.out.splitlines()
    )


def test_registry_without_login_is_not_checked_from_a_node(
    platformctl: Platformctl, cluster: Cluster, registry: Registry
):
    registry.mode = "open"
    result = run_bootstrap(platformctl, cluster, build_config(registry.host, "s3cret"), "--yes")
    assert (result.code, "from a node" in result.err) == (0, False)
    assert (
        f"? Secret team-alpha/regcred: type kubernetes.io/dockerconfigjson, for {registry.host}; "
        "login unverified (the registry requires no login)" in result.out.splitlines()
    )


BOTH = {"username": "robot", "password": "s3cret"}
AUTH = {"auth": base64.b64encode(b"robot:s3cret").decode()}


def add_unmanaged_secret(cluster: Cluster, auths: dict[str, Any]) -> None:
    """Add a registry secret of team alpha that bootstrap does not manage."""
    data = {".dockerconfigjson": base64.b64encode(json.dumps({"auths": auths}).encode()).decode()}
    metadata = {"name": "regcred", "namespace": "team-alpha", "resourceVersion": "5"}
    cluster.platform.objects[SECRET] = {"metadata": metadata, "type": pull_secret.SECRET_TYPE, "data": data}


@pytest.mark.parametrize(
    ("scheme", "entry", "more", "given"),
    [
        ("https://", AUTH, {}, True),
        ("https://", BOTH, {}, False),
        ("", BOTH, {}, True),
        ("", AUTH, {"https://other.test/v1/": BOTH}, True),
        ("", AUTH, {"other.test": {"auth": "%%%"}}, False),
    ],
)
def test_unmanaged_secret_is_read_in_every_form_nodes_accept(
    platformctl: Platformctl, cluster: Cluster, registry: Registry, scheme: str, entry: Any, more: Any, given: bool
):
    add_unmanaged_secret(cluster, {f"{scheme}{registry.host}": entry, **more})
    result = run_bootstrap(platformctl, cluster, build_config(registry.host, "s3cret") if given else "{}", "--yes")
    reason = "not managed by platformctl, and correct"
    note = reason if given else f"registry {registry.host}; no credentials given, kept unchanged"
    hosts = ", ".join(sorted([registry.host, *(["other.test"] if more else [])]))
    assert (result.code, result.out.splitlines()[0]) == (0, f"= Secret team-alpha/regcred: unchanged ({note})")
    assert (
        f"✔ Secret team-alpha/regcred: type kubernetes.io/dockerconfigjson, for {hosts}; "
        "login accepted (checked from this machine)" in result.out.splitlines()
    )
    assert cluster.platform.objects[SECRET]["metadata"]["resourceVersion"] == "5"


def test_unusable_secret_has_a_reason(platformctl: Platformctl, cluster: Cluster, registry: Registry):
    add_unmanaged_secret(cluster, {registry.host: {"identitytoken": "x"}})
    result = run_bootstrap(platformctl, cluster, build_config(registry.host, "s3cret"), "--yes")
    assert (result.code, result.out.splitlines()[0]) == (
        1,
        "! Secret team-alpha/regcred: it does not match the credentials and is not managed by platformctl (no label "
        "app.kubernetes.io/managed-by=platformctl). Change it where it is defined, or delete it and run again",
    )
    assert (
        f"✗ Secret team-alpha/regcred: type kubernetes.io/dockerconfigjson, for {registry.host}; Secret "
        "team-alpha/regcred has only an identity token, which nodes cannot use: log in with a password. "
        f"Run docker login {registry.host}, and run bootstrap again"
    ) in result.out.splitlines()


@pytest.mark.parametrize("host", ["registry.test:5000", "docker.io", "index.docker.io"])
def test_written_secret_reads_back_unchanged(host: str):
    team = build_contract(registry={"host": host, "pullSecret": "regcred"}).teams["alpha"]
    body = pull_secret.build_pull_secret("alpha", team, RegistryLogin("robot", "s3cret"))
    assert read_secret_logins("team-alpha/regcred", body) == {normalize_host(host): RegistryLogin("robot", "s3cret")}


class ClusterWithNode:
    """A cluster whose node reports a pull error for the check's pod."""

    def __init__(self, platform: Platform, message: str) -> None:
        self.platform, self.message = platform, message
        self.pods: list[dict[str, Any]] = []
        self.trace: list[str] = []
        platform.refused.discard(CHECK)

    def __call__(self, request: Request) -> ServerAnswer:
        path = request.path.partition("?")[0]
        if path in (CHECK, CHECK_SECRET) and "dryRun" not in request.path:
            kind = path.split("/")[-2]
            gated = request.method == "PATCH" and "schedulingGates" in request.body["spec"] if kind == "pods" else False
            self.trace.append(f"{request.method} {kind}{' gated' if gated else ''}")
            if request.method == "DELETE":
                return 200, self.platform.objects.pop(path, {})
            if request.method == "GET":
                waiting = {"reason": "ErrImagePull", "message": self.message}
                status = {"containerStatuses": [{"name": "base", "state": {"waiting": waiting}}]}
                return 200, {**self.platform.objects[path], "status": status}
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
