"""What bootstrap refuses against a real cluster and a real Airflow: one sentence, an exit code, and nothing written.

Other groups have more: `bootstrap` and `mutation` rights, `registry` passwords, `volume-claims` classes and sizes,
`bootstrap-cuts` an API server that goes half-way. What needs no real API server or Airflow is in
tests/unit/test_bootstrap_errors.py.
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

HOME = "refusals"
TEAM = f"{HOME}-0"

Refused = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def team(stack: Stack, airflow: AirflowApi) -> Iterator[TemporaryTeams]:
    with publish_teams(stack, airflow, HOME, teams=1, volumes=1) as it:
        yield it


@pytest.fixture
def refused(stack: Stack, airflow: AirflowApi, team: TemporaryTeams, programs: Path) -> Refused:
    """Runs bootstrap; gives its exit code and last words, once it is sure that nothing was written."""

    def run(*more: str | Path, kubeconfig: Path = stack.kubeconfig, **variables: str) -> tuple[int, str]:
        words: list[str | Path] = [programs / "platformctl", "bootstrap", "--yes", "--kubeconfig", kubeconfig]
        words += [] if "--namespace" in more else ["--namespace", HOME]
        words += [] if "--registry-config" in more else ["--registry-config", "-"]
        env = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **variables}
        said = subprocess.run([*words, *more], env=env, input=LOGIN, capture_output=True, text=True, timeout=120)
        assert (said.stdout, written(stack, airflow, team)) == ("", [])
        assert "Traceback" not in said.stderr
        return said.returncode, said.stderr.splitlines()[-1].replace(server(stack), "SERVER")

    return run


def server(stack: Stack) -> str:
    return str(stack.read_kubeconfig()["clusters"][0]["cluster"]["server"])


def written(stack: Stack, airflow: AirflowApi, team: TemporaryTeams) -> list[str]:
    """What a run of bootstrap for the team could have left."""
    kinds = "secrets,pvc,pods,leases"
    found = [each for space in (HOME, TEAM) for each in stack.get(kinds, "-n", space)["items"]]
    known = [each["connection_id"] for each in airflow.get("connections?limit=100")["connections"]]
    objects = [f"{each['kind']} {each['metadata']['name']}" for each in found]
    return objects + [name for name in known if name == team.connection]


def changed(stack: Stack, folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """Write the administrator's kubeconfig with something changed, and give its path."""
    config = stack.read_kubeconfig()
    change(config)
    file = folder / "kubeconfig"
    write_atomically(file, json.dumps(config), mode=0o600)
    return file


def test_no_way_to_a_cluster(refused: Refused, tmp_path: Path):
    file = tmp_path / "kubeconfig"
    file.write_text("{}")
    assert refused(kubeconfig=file) == (
        3,
        f"Error: Cannot use kubeconfig {file}: Invalid kube-config file. Expected key current-context in {file}. "
        "Pass a kubeconfig with --kubeconfig or KUBECONFIG, and one of its contexts with --context.",
    )


def test_a_certificate_that_is_not_the_clusters(stack: Stack, refused: Refused, tmp_path: Path):
    """The kubeconfig is older than the cluster."""

    def another(config: dict[str, Any]) -> None:
        words = ["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-keyout", "/dev/null", "-subj", "/CN=it"]
        made = subprocess.run(words, capture_output=True, timeout=30, check=True).stdout
        config["clusters"][0]["cluster"]["certificate-authority-data"] = base64.b64encode(made).decode()

    code, said = refused(kubeconfig=changed(stack, tmp_path, another))
    assert code == 3
    assert re.fullmatch(
        r"Error: Cannot verify the certificate of the API server SERVER \([a-z A-Z]+\): the kubeconfig belongs to "
        r"another cluster, or is older than this one\. Get its current kubeconfig\.",
        said,
    )


def test_no_contract(refused: Refused):
    assert refused("--namespace", "default") == (
        3,
        "Error: Namespace default of SERVER has no contract. Check with helm list --all-namespaces where the chart is "
        "installed, and pass the release's namespace with --namespace.",
    )


def test_a_wrong_password_for_airflow(refused: Refused):
    code, said = refused("--airflow-username", "admin", PLATFORMCTL_AIRFLOW_PASSWORD="wrong")
    assert code == 3
    what = "refused the user name or the password given for it: run again with the password that admin has in Airflow"
    assert re.fullmatch(rf"Error: Airflow \(.+\) {what}\.", said)


def test_an_expired_token(stack: Stack, refused: Refused, tmp_path: Path):
    """A real one, signed by the cluster's own key, that ended an hour ago. In time it is known, and may nothing."""
    token = stack.kubectl("create", "token", "default", "-n", HOME).strip()

    def run(**times: int) -> tuple[int, str]:
        def sign_in(config: dict[str, Any]) -> None:
            config["users"][0]["user"] = {"token": signed_again(token, times)}

        return refused(kubeconfig=changed(stack, tmp_path, sign_in))

    now = int(time.time())
    assert run(iat=now - 7200, nbf=now - 7200, exp=now - 3600) == (
        3,
        "Error: The API server SERVER rejected your credentials: the kubeconfig's token or certificate is invalid or "
        "expired. Log in again.",
    )
    assert run() == (
        3,
        f"Error: You may not list configmaps in namespace {HOME}; ask for the rights of rbac/bootstrap-operator*.yaml. "
        f'configmaps is forbidden: User "system:serviceaccount:{HOME}:default" cannot list resource "configmaps" '
        f'in API group "" in the namespace "{HOME}"',
    )


def signed_again(token: str, claims: dict[str, int]) -> str:
    """A token of the cluster with other claims."""
    head, content, _ = token.split(".")
    old = json.loads(base64.urlsafe_b64decode(content + "=="))
    text = f"{head}.{unpadded(json.dumps({**old, **claims}).encode())}"
    words = ("openssl", "dgst", "-sha256", "-sign", default_paths().pki / "tokens.key")
    made = subprocess.run(words, input=text.encode(), capture_output=True, timeout=30, check=True)
    return f"{text}.{unpadded(plain(made.stdout))}"


def plain(signature: bytes) -> bytes:
    """A signature of openssl in the form that tokens have: its two numbers of 32 bytes, without what is around them."""
    numbers, rest = [], signature[2:]
    while rest:
        numbers.append(int.from_bytes(rest[2 : 2 + rest[1]], "big"))
        rest = rest[2 + rest[1] :]
    return b"".join(number.to_bytes(32, "big") for number in numbers)


def unpadded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
