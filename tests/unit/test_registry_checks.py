"""bootstrap.registry: login checks from this machine, in runs of platformctl bootstrap."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kpo_platform.bootstrap.model import RegistryLogin
from kpo_platform.bootstrap.registry import login_check, pull_secret
from kpo_platform.bootstrap.registry.docker_config import read_secret_logins
from kpo_platform.bootstrap.registry.hosts import normalize_host
from unit.support.contracts import build_contract
from unit.support.platformctl import Cluster, CommandResult, Platformctl
from unit.support.registry_server import (
    Registry,
    build_config,
    patch_name_resolution,
    serve_registry,
    set_registry_host,
)

SECRET = "/api/v1/namespaces/team-alpha/secrets/regcred"


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
