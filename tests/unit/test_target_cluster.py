"""bootstrap.connections.target_cluster and kubeconfig: access to another cluster."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from kpo_platform.bootstrap.connections import kubeconfig, target_cluster
from kpo_platform.errors import BootstrapError, ClusterError
from unit.support.http_server import Answer, Request, serving, status

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def write_kubeconfig(folder: Path, server: str, user: dict[str, Any]) -> str:
    content = {
        "clusters": [{"name": "c", "cluster": {"server": server, "certificate-authority": "ca.crt"}}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "there", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "there",
    }
    (folder / "ca.crt").write_text("CA")
    file = folder / "kubeconfig"
    file.write_text(yaml.safe_dump(content))
    return str(file)


def test_kubeconfig_inlines_its_files(tmp_path: Path):
    for name in ("me.crt", "me.key"):
        (tmp_path / name).write_text(name)
    user = {"client-certificate": "me.crt", "client-key": "me.key", "username": "old"}
    context = kubeconfig.read_context(write_kubeconfig(tmp_path, "https://other.test", user), None)
    assert context.build_standalone() == {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": "target", "cluster": {"server": "https://other.test", "certificate-authority-data": "Q0E="}}
        ],
        "users": [
            {
                "name": "target",
                "user": {"client-certificate-data": "bWUuY3J0", "client-key-data": "bWUua2V5"},
            }
        ],
        "contexts": [{"name": "target", "context": {"cluster": "target", "user": "target"}}],
        "current-context": "target",
    }


@pytest.mark.parametrize(
    ("server", "user", "context", "message"),
    [
        (
            "https://other.test",
            {"exec": {"command": "aws"}},
            None,
            "The user of FILE, context there has neither a token nor a client certificate with its key (it has: exec). "
            "Airflow's pods can use nothing else. Name another context or use connection.mode remote.",
        ),
        (
            "https://other.test",
            {"client-key": "gone.key"},
            None,
            "Cannot read FOLDER/gone.key, which the kubeconfig names: No such file or directory. "
            "Correct the kubeconfig.",
        ),
        (
            "https://other.test",
            {"token": "t"},
            "here",
            "Kubeconfig FILE has no entry 'here' in contexts (it has: there). "
            "Correct the kubeconfig or name another context.",
        ),
        (
            "https://127.0.0.1:6443",
            {"token": "t"},
            None,
            "Airflow's pods cannot reach the server https://127.0.0.1:6443 of FILE, context there: "
            "it is a loopback address. Name a context with another server.",
        ),
    ],
)
def test_kubeconfig_unusable_in_pods_is_rejected(
    tmp_path: Path, server: str, user: dict[str, Any], context: str | None, message: str
):
    file = write_kubeconfig(tmp_path, server, user)
    with pytest.raises(BootstrapError) as error:
        kubeconfig.read_context(file, context).build_standalone()
    assert str(error.value).replace(file, "FILE").replace(str(tmp_path), "FOLDER") == message


def test_missing_kubeconfig_is_named(tmp_path: Path):
    file = str(tmp_path / "gone")
    with pytest.raises(BootstrapError) as error:
        kubeconfig.read_context(file, None)
    assert str(error.value) == f"Cannot read kubeconfig {file}: No such file or directory. Name another file."


def test_invalid_kubeconfig_is_not_quoted(tmp_path: Path):
    file = tmp_path / "kubeconfig"
    file.write_text("token: s3cret: {")
    with pytest.raises(BootstrapError) as error:
        kubeconfig.read_context(str(file), None)
    assert str(error.value) == f"Kubeconfig {file} is invalid: expected YAML as kubectl reads it. Name another file."
    assert error.value.__cause__ is None


@pytest.fixture
def allow_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Allow loopback addresses: the servers of these tests run on this machine."""
    monkeypatch.setattr(kubeconfig, "_reject_loopback", lambda *_: None)


def test_token_is_requested_for_thirty_days(tmp_path: Path, allow_loopback: None):
    def answer(_: Request) -> Answer:
        return 201, {"status": {"token": "s3cret", "expirationTimestamp": "2026-06-11T00:00:00Z"}}

    with serving(answer) as server:
        target = target_cluster.TargetCluster(server.kubeconfig(tmp_path), None, "airflow/launcher")
        access = target_cluster.request_token_access(target, NOW, 10, dry_run=False)
    (request,) = server.seen
    assert (request.method, request.path, request.body["spec"]) == (
        "POST",
        "/api/v1/namespaces/airflow/serviceaccounts/launcher/token",
        {"expirationSeconds": 2592000},
    )
    assert access.record == {
        "server": server.url,
        "user": "system:serviceaccount:airflow:launcher",
        "expires": "2026-06-11T00:00:00Z",
        "renewAfter": "2026-06-06T00:00:00Z",
    }
    assert access.kube_config["users"] == [{"name": "target", "user": {"token": "s3cret"}}]


@pytest.mark.parametrize("account", [None, "launcher", "/launcher"])
def test_remote_connection_requires_an_account(account: str | None):
    with pytest.raises(BootstrapError, match="Pass --target-account NAMESPACE/NAME"):
        target_cluster.get_account_user(target_cluster.TargetCluster("file", None, account))


def test_kubeconfig_is_tried_and_an_expired_token_rejected(tmp_path: Path, allow_loopback: None):
    with serving(lambda _: (201, {"status": {"userInfo": {"username": "jane"}}})) as server:
        access = target_cluster.read_kubeconfig_access(target_cluster.TargetCluster(server.kubeconfig(tmp_path)), 10)
    assert (access.record["user"], server.seen[0].headers["authorization"]) == ("jane", "Bearer token-of-the-test")
    assert (
        target_cluster.read_kubeconfig_access(target_cluster.TargetCluster(server.kubeconfig(tmp_path)), 10).record[
            "user"
        ]
        == target_cluster.UNVERIFIED_USER
    )
    with serving(lambda _: status(401, "Unauthorized")) as server, pytest.raises(ClusterError) as error:
        target_cluster.read_kubeconfig_access(target_cluster.TargetCluster(server.kubeconfig(tmp_path)), 10)
    assert str(error.value) == (
        f"The API server {server.url} rejected your credentials: the kubeconfig's token or certificate is "
        "invalid or expired. Log in again."
    )
