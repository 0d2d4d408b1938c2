"""Refusals of bootstrap: a message, an exit code, and no writes.

Other groups test more refusals: `bootstrap` and `mutation` rights, `registry` passwords, `volume-claims` classes and
sizes, `bootstrap-cuts` an API server that disconnects. tests/unit/test_bootstrap_errors.py has those that need neither.
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from common.files import write_atomically
from local_cluster.cluster_paths import default_paths
from stack.airflow_api import AirflowApi
from stack.release import Stack
from stack.temporary_teams import LOGIN, TemporaryTeams, publish_teams

NAMESPACE = "refusals"
TEAM_NAMESPACE = f"{NAMESPACE}-0"

RunRefused = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def team(stack: Stack, airflow: AirflowApi) -> Iterator[TemporaryTeams]:
    with publish_teams(stack, airflow, NAMESPACE, teams=1, volumes=1) as resource:
        yield resource


@pytest.fixture
def run_refused(stack: Stack, airflow: AirflowApi, team: TemporaryTeams, programs: Path) -> RunRefused:
    """Runs bootstrap, checks that it wrote nothing, and returns its exit code and last line."""

    def run(*more: str | Path, kubeconfig: Path = stack.kubeconfig, **variables: str) -> tuple[int, str]:
        words: list[str | Path] = [programs / "platformctl", "bootstrap", "--yes", "--kubeconfig", kubeconfig]
        words += [] if "--namespace" in more else ["--namespace", NAMESPACE]
        words += [] if "--registry-config" in more else ["--registry-config", "-"]
        env = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **variables}
        process = subprocess.run([*words, *more], env=env, input=LOGIN, capture_output=True, text=True, timeout=120)
        assert (process.stdout, find_written_objects(stack, airflow, team)) == ("", [])
        assert "Traceback" not in process.stderr
        return process.returncode, process.stderr.splitlines()[-1].replace(server_url(stack), "SERVER")

    return run


def server_url(stack: Stack) -> str:
    return str(stack.read_kubeconfig()["clusters"][0]["cluster"]["server"])


def find_written_objects(stack: Stack, airflow: AirflowApi, team: TemporaryTeams) -> list[str]:
    """Return all objects that a run of bootstrap for the team could have written."""
    kinds = "secrets,pvc,pods,leases"
    items = [item for namespace in (NAMESPACE, TEAM_NAMESPACE) for item in stack.get(kinds, "-n", namespace)["items"]]
    connections = [item["connection_id"] for item in airflow.get("connections?limit=100")["connections"]]
    objects = [f"{item['kind']} {item['metadata']['name']}" for item in items]
    return objects + [name for name in connections if name == team.connection]


def write_changed_kubeconfig(stack: Stack, folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """Write a changed copy of the administrator's kubeconfig and return its path."""
    config = stack.read_kubeconfig()
    change(config)
    file = folder / "kubeconfig"
    write_atomically(file, json.dumps(config), mode=0o600)
    return file


def test_kubeconfig_without_context_is_refused(run_refused: RunRefused, tmp_path: Path):
    file = tmp_path / "kubeconfig"
    file.write_text("{}")
    assert run_refused(kubeconfig=file) == (
        3,
        f"Error: Cannot use kubeconfig {file}: Invalid kube-config file. Expected key current-context in {file}. "
        "Pass a kubeconfig with --kubeconfig or KUBECONFIG, and one of its contexts with --context.",
    )


def test_unknown_server_certificate_is_refused(stack: Stack, run_refused: RunRefused, tmp_path: Path):
    """As when the kubeconfig is older than the cluster."""

    def replace_ca(config: dict[str, Any]) -> None:
        words = ["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-keyout", "/dev/null", "-subj", "/CN=it"]
        certificate = subprocess.run(words, capture_output=True, timeout=30, check=True).stdout
        config["clusters"][0]["cluster"]["certificate-authority-data"] = base64.b64encode(certificate).decode()

    code, message = run_refused(kubeconfig=write_changed_kubeconfig(stack, tmp_path, replace_ca))
    assert code == 3
    assert re.fullmatch(
        r"Error: Cannot verify the certificate of the API server SERVER \([a-z A-Z]+\): the kubeconfig belongs to "
        r"another cluster, or is older than this one\. Get its current kubeconfig\.",
        message,
    )


def test_namespace_without_contract_is_refused(run_refused: RunRefused):
    assert run_refused("--namespace", "default") == (
        3,
        "Error: Namespace default of SERVER has no contract. Check with helm list --all-namespaces where the chart is "
        "installed, and pass the release's namespace with --namespace.",
    )


def test_wrong_airflow_password_is_refused(run_refused: RunRefused):
    code, message = run_refused("--airflow-username", "admin", PLATFORMCTL_AIRFLOW_PASSWORD="wrong")
    assert code == 3
    assert re.fullmatch(
        r"Error: Airflow \(.+\) rejected the user name or password\. Run again with the Airflow password of admin\.",
        message,
    )


def test_expired_token_is_refused(stack: Stack, run_refused: RunRefused, tmp_path: Path):
    """Uses a real token that the cluster's key signed again with other times; unexpired, it has no rights."""
    token = stack.kubectl("create", "token", "default", "-n", NAMESPACE).strip()

    def run(**times: int) -> tuple[int, str]:
        def set_token(config: dict[str, Any]) -> None:
            config["users"][0]["user"] = {"token": re_sign_token(token, times)}

        return run_refused(kubeconfig=write_changed_kubeconfig(stack, tmp_path, set_token))

    now = int(time.time())
    assert run(iat=now - 7200, nbf=now - 7200, exp=now - 3600) == (
        3,
        "Error: The API server SERVER rejected your credentials: the kubeconfig's token or certificate is invalid or "
        "expired. Log in again.",
    )
    assert run() == (
        3,
        f"Error: Cannot list configmaps in namespace {NAMESPACE}: "
        f'configmaps is forbidden: User "system:serviceaccount:{NAMESPACE}:default" cannot list resource "configmaps" '
        f'in API group "" in the namespace "{NAMESPACE}". Ask for the rights of rbac/bootstrap-operator*.yaml.',
    )


def re_sign_token(token: str, claims: dict[str, int]) -> str:
    """Return a token of the cluster with other claims."""
    head, content, _ = token.split(".")
    claims_before = json.loads(base64.urlsafe_b64decode(content + "=="))
    text = f"{head}.{encode_base64url(json.dumps({**claims_before, **claims}).encode())}"
    words = ("openssl", "dgst", "-sha256", "-sign", default_paths().pki / "tokens.key")
    process = subprocess.run(words, input=text.encode(), capture_output=True, timeout=30, check=True)
    return f"{text}.{encode_base64url(raw_signature(process.stdout))}"


def raw_signature(signature: bytes) -> bytes:
    """Convert an openssl signature to that of tokens: its two 32-byte numbers without their DER encoding."""
    numbers, rest = [], signature[2:]
    while rest:
        numbers.append(int.from_bytes(rest[2 : 2 + rest[1]], "big"))
        rest = rest[2 + rest[1] :]
    return b"".join(number.to_bytes(32, "big") for number in numbers)


def encode_base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
