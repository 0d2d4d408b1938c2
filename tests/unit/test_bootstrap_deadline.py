"""platformctl bootstrap --timeout: limits exec plugins, Airflow and credential helpers, but not user input."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kpo_platform.bootstrap.connections.airflow_api import connect_by_url
from kpo_platform.bootstrap.model import RegistryLogin
from kpo_platform.bootstrap.registry import login_check
from kpo_platform.bootstrap.registry.docker_config import RegistryCredentials, find_credentials
from kpo_platform.bootstrap.registry.login_check import LoginResult, LoginStatus
from kpo_platform.cli.options import Registry
from kpo_platform.errors import AirflowError, Unreachable
from kpo_platform.kube import CONFIG_MAP, Deadline, Kube
from unit.support.exec_plugin import write_exec_plugin, write_kubeconfig
from unit.support.http_server import Answer, Request, serving
from unit.support.platformctl import Cluster, Platformctl

TIMES = ("2000-01-01T00:00:00Z", "2100-01-01T00:00:00Z")


@contextmanager
def assert_duration(seconds: float) -> Iterator[None]:
    """Assert that the context takes at most 5 seconds more than this."""
    before = time.monotonic()
    yield
    assert time.monotonic() - before < seconds + 5


def has_ended(process: int) -> bool:
    """Whether a process ends within 5 seconds; a zombie counts as ended."""
    until = time.monotonic() + 5
    while time.monotonic() < until:
        try:
            if Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.05)
    return False


def test_exec_plugin_is_killed_at_the_timeout(platformctl: Platformctl, cluster: Cluster, tmp_path: Path):
    user = write_exec_plugin(tmp_path, f"echo $$ > {tmp_path}/pid; exec sleep 60")
    file = write_kubeconfig(cluster.server, tmp_path, user)
    with assert_duration(1):
        result = platformctl("bootstrap", "--dry-run", "--kubeconfig", file, "--timeout", "1")
    assert (result.code, result.out, cluster.server.seen) == (3, "", [])
    assert result.err.splitlines()[-1] == (
        f"Error: Cannot use kubeconfig {file}: exec plugin {tmp_path}/sign-in timed out after 1 s. "
        "Log in first or raise --timeout."
    )
    assert has_ended(int((tmp_path / "pid").read_text()))


@pytest.mark.parametrize("until", TIMES)
def test_renewal_of_expired_credentials_keeps_the_deadline(tmp_path: Path, until: str):
    credential = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": "of-the-program", "expirationTimestamp": until},
    }
    once = f"mkdir {tmp_path}/first 2>/dev/null || sleep 30"
    user = write_exec_plugin(tmp_path, f"{once}; echo '{json.dumps(credential)}'")
    with serving(lambda _: (200, {"items": []})) as server:
        kube = Kube.connect(write_kubeconfig(server, tmp_path, user), None, 3)
        if until == TIMES[1]:
            assert [kube.list_objects(CONFIG_MAP, "airflow") for _ in range(2)] == [[], []]
            assert {request.headers["authorization"] for request in server.seen} == {"Bearer of-the-program"}
            return
        with assert_duration(3), pytest.raises(Unreachable, match=r"exec plugin .* timed out after"):
            kube.list_objects(CONFIG_MAP, "airflow")
    assert server.seen == []


def test_silent_airflow_ends_the_run_at_the_timeout(platformctl: Platformctl, cluster: Cluster):
    def hang(_: Request) -> Answer:
        time.sleep(20)
        return 200, {}

    with serving(hang) as airflow, assert_duration(2):
        words = ("--airflow-url", airflow.url, "--timeout", "2")
        result = platformctl("bootstrap", *cluster.options, "--dry-run", *words)
    assert (result.code, result.out) == (3, "")
    assert result.err.splitlines()[-1] == (
        f"Error: Airflow ({airflow.url}) did not answer: timed out. "
        "Check that its api-server runs and that the address is correct."
    )


def test_no_request_is_sent_to_airflow_after_the_deadline():
    with serving(lambda _: (200, {})) as server, pytest.raises(AirflowError) as error:
        connect_by_url(server.url, Deadline(0)).get_connection("k8s_default")
    assert server.seen == []
    assert str(error.value) == (
        f"Cannot send a request to Airflow ({server.url}): the timeout has expired. Raise --timeout."
    )


def test_credential_helper_and_registry_end_at_the_timeout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    helper = tmp_path / "docker-credential-slow"
    helper.write_text("#!/bin/sh\nexec sleep 20\n")
    helper.chmod(0o755)
    with assert_duration(1):
        credentials = find_credentials(["registry.test"], "-", io.StringIO('{"credsStore": "slow"}'), Deadline(1))
    assert credentials == RegistryCredentials({}, {"registry.test": "docker-credential-slow timed out after 1 s"})
    monkeypatch.setattr(login_check, "check_login", lambda *_: time.sleep(20))
    with assert_duration(1):
        result = login_check.start_check("registry.test", RegistryLogin("robot", "s3cret"))(1)
    assert result == LoginResult(
        LoginStatus.UNVERIFIED, "not checked from this machine: no answer within 1 s", retry_on_node=True
    )


def test_time_of_a_password_prompt_does_not_count(cluster: Cluster, monkeypatch: pytest.MonkeyPatch):
    def type_slowly(_: str) -> str:
        time.sleep(0.5)
        return "typed"

    monkeypatch.setattr("click.termui.hidden_prompt_func", type_slowly)
    kube = Kube.connect(cluster.options[1], None, 10)
    before = kube.deadline.remaining_seconds()
    credentials = Registry(None, None, "robot", None).find_credentials(["registry.test"], kube)
    assert credentials == RegistryCredentials({"registry.test": RegistryLogin("robot", "typed")})
    assert before - kube.deadline.remaining_seconds() < 0.4
