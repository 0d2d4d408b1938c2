"""A kubeconfig that signs in by a program, as those of the clouds do."""

from __future__ import annotations

import json
import logging
import subprocess
from pathlib import Path
from typing import Any

import pytest

from kpo_platform.errors import ClusterError
from kpo_platform.kube import CONFIG_MAP, Kube
from unit import command_line
from unit.servers import Answer, Request, Server, serving, status
from unit.test_bootstrap_deadline import kubeconfig, program

VERSION = "client.authentication.k8s.io/v1"
EXPIRED = "echo 'The SSO session has expired.' >&2; echo 'Run aws sso login.' >&2; exit 255"
WHY = "process returned 255. The SSO session has expired. Run aws sso login"


def to_anybody(request: Request) -> Answer:
    """An API server that lets people in without a sign-in, and lets them do nothing."""
    return status(403, 'configmaps is forbidden: User "system:anonymous" cannot list resource "configmaps"')


def gives(**credential: Any) -> str:
    return f"echo '{json.dumps({'apiVersion': VERSION, 'kind': 'ExecCredential', 'status': credential})}'"


def refusal(server: Server, folder: Path, user: dict[str, Any]) -> str:
    with pytest.raises(ClusterError) as error:
        Kube.connect(kubeconfig(server, folder, user), None, 20)
    return str(error.value).replace(str(folder), "FOLDER")


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (EXPIRED, WHY),
        ("echo no JSON", "failed to decode process output: Expecting value: line 1 column 1 (char 0)"),
        (gives(), "missing token or clientCertificateData field in plugin output"),
        (gives(clientCertificateData="x"), "missing clientKeyData field in plugin output"),
    ],
)
def test_a_program_that_fails_is_told_of_with_its_words_and_nothing_is_asked(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, script: str, why: str
):
    with serving(to_anybody) as server:
        said = refusal(server, tmp_path, program(tmp_path, script))
    assert said == (
        f"No way to a cluster by FOLDER/kubeconfig: its sign-in program FOLDER/sign-in failed ({why}); sign in again."
    )
    assert (server.seen, caplog.messages) == ([], [])


def test_a_program_that_is_not_installed_is_to_be_installed(tmp_path: Path):
    user = {"exec": {"apiVersion": VERSION, "command": "sign-in-to-nowhere"}}
    with serving(to_anybody) as server:
        said = refusal(server, tmp_path, user)
    assert said == (
        "No way to a cluster by FOLDER/kubeconfig: its sign-in program sign-in-to-nowhere failed ([Errno 2] No such "
        "file or directory: 'sign-in-to-nowhere'); install it, or name another context with --context."
    )


def test_platformctl_says_it_in_one_sentence(tmp_path: Path):
    """In a process of its own: what the library logs would go to its stderr."""
    with serving(to_anybody) as server:
        file = kubeconfig(server, tmp_path, program(tmp_path, EXPIRED))
        words = command_line.program("bootstrap", "--dry-run", "--kubeconfig", file)
        ran = subprocess.run(words, env=command_line.environment(), capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stdout) == (3, "")
    assert ran.stderr.splitlines() == [
        "► Reading the contract of namespace airflow, and what is there",
        f"Error: No way to a cluster by {file}: its sign-in program {tmp_path}/sign-in failed ({WHY}); sign in again.",
    ]


def test_a_program_that_fails_when_it_is_asked_again_is_told_of_too(tmp_path: Path):
    once = f"mkdir {tmp_path}/first 2>/dev/null || {{ {EXPIRED}; }}"
    script = f"{once}; {gives(token='t', expirationTimestamp='2000-01-01T00:00:00Z')}"
    with serving(to_anybody) as server:
        kube = Kube.connect(kubeconfig(server, tmp_path, program(tmp_path, script)), None, 20)
        with pytest.raises(ClusterError) as error:
            kube.list_objects(CONFIG_MAP, "airflow")
    assert (server.seen, str(error.value).partition(" failed ")[2]) == ([], f"({WHY}); sign in again.")


def test_a_user_who_has_another_way_in_needs_no_program(tmp_path: Path):
    user = {**program(tmp_path, EXPIRED), "username": "jane", "password": "s3cret"}
    with serving(lambda _: (200, {"items": []})) as server:
        assert Kube.connect(kubeconfig(server, tmp_path, user), None, 20).list_objects(CONFIG_MAP, "airflow") == []
    assert server.seen[0].headers["authorization"] == "Basic amFuZTpzM2NyZXQ="


def test_what_others_log_meanwhile_and_afterwards_is_theirs(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    with serving(lambda _: (200, {"items": []})) as server:
        Kube.connect(server.kubeconfig(tmp_path), None, 20).list_objects(CONFIG_MAP, "airflow")
    logging.getLogger().error("mine")
    assert caplog.messages == ["mine"]
