"""kube.exec_auth: kubeconfigs with an exec plugin."""

from __future__ import annotations

import json
import logging
import subprocess
from pathlib import Path
from typing import Any

import pytest

from kpo_platform.errors import ClusterError
from kpo_platform.kube import CONFIG_MAP, Kube
from unit.support import platformctl as platformctl_process
from unit.support.exec_plugin import write_exec_plugin, write_kubeconfig
from unit.support.http_server import Answer, Request, Server, serving, status

VERSION = "client.authentication.k8s.io/v1"
EXPIRED = "echo 'The SSO session has expired.' >&2; echo 'Run aws sso login.' >&2; exit 255"
WHY = "process returned 255. The SSO session has expired. Run aws sso login"


def answer_anonymous(request: Request) -> Answer:
    """Answer like an API server that forbids everything to anonymous users."""
    return status(403, 'configmaps is forbidden: User "system:anonymous" cannot list resource "configmaps"')


def credential_script(**credential: Any) -> str:
    return f"echo '{json.dumps({'apiVersion': VERSION, 'kind': 'ExecCredential', 'status': credential})}'"


def get_connect_error(server: Server, folder: Path, user: dict[str, Any]) -> str:
    with pytest.raises(ClusterError) as error:
        Kube.connect(write_kubeconfig(server, folder, user), None, 20)
    return str(error.value).replace(str(folder), "FOLDER")


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (EXPIRED, WHY),
        ("echo no JSON", "failed to decode process output: Expecting value: line 1 column 1 (char 0)"),
        (credential_script(), "missing token or clientCertificateData field in plugin output"),
        (credential_script(clientCertificateData="x"), "missing clientKeyData field in plugin output"),
    ],
)
def test_failed_plugin_raises_its_message_and_sends_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, script: str, why: str
):
    with serving(answer_anonymous) as server:
        message = get_connect_error(server, tmp_path, write_exec_plugin(tmp_path, script))
    assert message == (
        f"Cannot use kubeconfig FOLDER/kubeconfig: exec plugin FOLDER/sign-in failed ({why}). Log in again."
    )
    assert (server.seen, caplog.messages) == ([], [])


def test_missing_plugin_tells_to_install_it(tmp_path: Path):
    user = {"exec": {"apiVersion": VERSION, "command": "sign-in-to-nowhere"}}
    with serving(answer_anonymous) as server:
        message = get_connect_error(server, tmp_path, user)
    assert message == (
        "Cannot use kubeconfig FOLDER/kubeconfig: exec plugin sign-in-to-nowhere failed ([Errno 2] No such "
        "file or directory: 'sign-in-to-nowhere'). Install it, or pass another context with --context."
    )


def test_platformctl_reports_a_failed_plugin_on_one_line(tmp_path: Path):
    """Runs in a child process, because its stderr includes the library's log."""
    with serving(answer_anonymous) as server:
        file = write_kubeconfig(server, tmp_path, write_exec_plugin(tmp_path, EXPIRED))
        words = platformctl_process.program("bootstrap", "--dry-run", "--kubeconfig", file)
        process = subprocess.run(
            words, env=platformctl_process.environment(), capture_output=True, text=True, timeout=60
        )
    assert (process.returncode, process.stdout) == (3, "")
    assert process.stderr.splitlines() == [
        "► Reading the contract of namespace airflow and the current state",
        f"Error: Cannot use kubeconfig {file}: exec plugin {tmp_path}/sign-in failed ({WHY}). Log in again.",
    ]


def test_plugin_that_fails_at_refresh_raises(tmp_path: Path):
    once = f"mkdir {tmp_path}/first 2>/dev/null || {{ {EXPIRED}; }}"
    script = f"{once}; {credential_script(token='t', expirationTimestamp='2000-01-01T00:00:00Z')}"
    with serving(answer_anonymous) as server:
        kube = Kube.connect(write_kubeconfig(server, tmp_path, write_exec_plugin(tmp_path, script)), None, 20)
        with pytest.raises(ClusterError) as error:
            kube.list_objects(CONFIG_MAP, "airflow")
    assert (server.seen, str(error.value).partition(" failed ")[2]) == ([], f"({WHY}). Log in again.")


def test_failed_plugin_is_ignored_when_the_user_has_a_password(tmp_path: Path):
    user = {**write_exec_plugin(tmp_path, EXPIRED), "username": "jane", "password": "s3cret"}
    with serving(lambda _: (200, {"items": []})) as server:
        assert (
            Kube.connect(write_kubeconfig(server, tmp_path, user), None, 20).list_objects(CONFIG_MAP, "airflow") == []
        )
    assert server.seen[0].headers["authorization"] == "Basic amFuZTpzM2NyZXQ="


def test_log_records_of_other_code_are_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    with serving(lambda _: (200, {"items": []})) as server:
        Kube.connect(server.kubeconfig(tmp_path), None, 20).list_objects(CONFIG_MAP, "airflow")
    logging.getLogger().error("mine")
    assert caplog.messages == ["mine"]
