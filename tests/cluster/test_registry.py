"""Checks of registry logins before they are written, with a real registry.

The registry is distribution's, with a password, in the cluster's network. Without TLS only the node can access it.
"""

from __future__ import annotations

import base64
import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster.support.pods.sleeper import POD
from common.polling import NotYet, wait_for
from stack.airflow_api import AirflowApi
from stack.registry import Registry, busybox_archive, run_registry
from stack.release import Stack
from stack.temporary_teams import TemporaryTeams, publish_teams

CONTRACT_NAMESPACE, TLS_NAMESPACE = "signin", "signtls"
TEAM_NAMESPACE, OTHER_NAMESPACE = f"{CONTRACT_NAMESPACE}-0", f"{CONTRACT_NAMESPACE}-1"
TEXT = "out of a private image\n"
IMAGE = "private/tool:1"
SECRET_TYPE = "kubernetes.io/dockerconfigjson"

Completed = subprocess.CompletedProcess[str]
Bootstrap = Callable[..., Completed]


@pytest.fixture(scope="module")
def registry(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with run_registry(stack.programs, tmp_path_factory.mktemp("registry")) as server:
        server.push_image(*IMAGE.split(":"), busybox_archive(), {"text": TEXT})
        yield server


@pytest.fixture(scope="module")
def teams(stack: Stack, airflow: AirflowApi, registry: Registry) -> Iterator[TemporaryTeams]:
    """Two teams of the registry, with the service account of their pods."""
    with publish_registry_teams(stack, airflow, CONTRACT_NAMESPACE, 2, registry) as resource:
        yield resource


def publish_registry_teams(stack: Stack, airflow: AirflowApi, namespace: str, number: int, registry: Registry) -> Any:
    return publish_teams(
        stack, airflow, namespace, number, 0, registry={"host": registry.host, "pullSecret": "regcred"}
    )


@pytest.fixture
def bootstrap(stack: Stack, programs: Path, registry: Registry, teams: TemporaryTeams) -> Bootstrap:
    """Runs bootstrap for one team without existing objects."""
    for namespace in teams.namespaces:
        stack.kubectl("delete", "secrets,pods", "--all", "-n", namespace, "--grace-period=1")
        account = stack.kubectl(
            "create", "serviceaccount", "team-pod", "-n", namespace, "--dry-run=client", "-o", "json"
        )
        stack.kubectl("apply", "-f", "-", stdin=account)
    words = [programs / "platformctl", "bootstrap", "--namespace", CONTRACT_NAMESPACE, "--yes"]

    def run(*more: str, login: dict[str, Any] | None = None) -> Completed:
        options = ("--registry-config", "-") if login else ()
        text = json.dumps(login) if login else ""
        arguments = [*words, *options, *(more or ("--team", TEAM_NAMESPACE))]
        return subprocess.run(arguments, env=stack.environment, input=text, capture_output=True, text=True, timeout=180)

    return run


def list_objects(stack: Stack, namespace: str = TEAM_NAMESPACE) -> list[str]:
    """Return the Secrets and pods of a team."""
    return sorted(
        f"{item['kind']} {item['metadata']['name']}" for item in stack.get("secrets,pods", "-n", namespace)["items"]
    )


def read_evidence(process: Completed) -> str:
    return next(line for line in process.stdout.splitlines() if line[0] in "✔?✗" and " Secret " in line)


def test_wrong_password_is_found_on_a_node_and_not_written(stack: Stack, bootstrap: Bootstrap, registry: Registry):
    process = bootstrap(login=registry.docker_config("guessed"))
    assert (process.returncode, process.stderr.splitlines()[-1]) == (
        3,
        "Error: Registry localhost:5000 rejected the login (checked from a node, which reported: 401 Unauthorized). "
        "Nothing was written. Run docker login localhost:5000 or pass other credentials, and run again.",
    )
    assert list_objects(stack) == []


def test_login_checked_on_a_node_pulls_the_private_image(stack: Stack, bootstrap: Bootstrap, registry: Registry):
    process = bootstrap(login=registry.docker_config())
    assert process.returncode == 0, process.stderr
    assert read_evidence(process) == (
        f"✔ Secret {TEAM_NAMESPACE}/regcred: type {SECRET_TYPE}, for localhost:5000; "
        "login accepted (checked from a node, which reported: not found)"
    )
    assert list_objects(stack) == ["Secret regcred"]
    assert run_private_image(stack, "stranger", []) == "ErrImagePull"
    assert run_private_image(stack, "guest", [{"name": "regcred"}]) == TEXT


def run_private_image(stack: Stack, name: str, secrets: list[dict[str, str]]) -> str:
    """Run a pod with the private image; return its output, or why the pull failed."""
    base = {**POD["spec"]["containers"][0], "image": f"localhost:5000/{IMAGE}", "command": ["cat", "/text"]}
    spec = {**POD["spec"], "restartPolicy": "Never", "imagePullSecrets": secrets}
    pod = {**POD, "metadata": {"name": name}, "spec": {**spec, "containers": [{**base, "imagePullPolicy": "Always"}]}}
    stack.kubectl("apply", "-n", TEAM_NAMESPACE, "-f", "-", stdin=json.dumps(pod))

    def read_outcome() -> str:
        status = stack.get("pod", name, "-n", TEAM_NAMESPACE)["status"]
        waiting = (status.get("containerStatuses") or [{}])[0].get("state", {}).get("waiting", {})
        if status["phase"] == "Succeeded":
            return stack.kubectl("logs", name, "-n", TEAM_NAMESPACE)
        if "Pull" in waiting.get("reason", ""):
            return "ErrImagePull"
        raise NotYet(str(status))

    return wait_for(f"pod {name} to end", read_outcome, deadline_s=60)


@pytest.mark.parametrize("registry_key", ["https://localhost:5000", "localhost:5000"])
def test_usable_secret_of_another_manager_is_kept(
    stack: Stack, bootstrap: Bootstrap, registry: Registry, registry_key: str
):
    credentials = {"username": registry.user, "password": registry.password}
    content = json.dumps({"auths": {registry_key: credentials, "https://other.test/v1/": credentials}})
    stack.kubectl(
        *("create", "secret", "generic", "regcred", "-n", TEAM_NAMESPACE, f"--type={SECRET_TYPE}"),
        "--from-file=.dockerconfigjson=/dev/stdin",
        stdin=content,
    )
    process = bootstrap(login=registry.docker_config())
    assert (process.returncode, process.stdout.splitlines()[0]) == (
        0,
        f"= Secret {TEAM_NAMESPACE}/regcred: unchanged (not managed by platformctl, and correct)",
    )
    assert read_evidence(process).startswith(
        f"? Secret {TEAM_NAMESPACE}/regcred: type {SECRET_TYPE}, for localhost:5000, other.test; "
    )
    assert run_private_image(stack, "guest", [{"name": "regcred"}]) == TEXT


def test_overwritten_login_is_restored_by_the_printed_command(stack: Stack, bootstrap: Bootstrap, registry: Registry):
    assert bootstrap(login=registry.docker_config()).returncode == 0
    other_login = base64.b64encode(json.dumps(registry.docker_config("guessed")).encode()).decode()
    patch = json.dumps({"data": {".dockerconfigjson": other_login}})
    stack.kubectl("patch", "secret", "regcred", "-n", TEAM_NAMESPACE, "--field-manager=kubectl-edit", "-p", patch)
    process = bootstrap(login=registry.docker_config())
    message, _, command = process.stderr.splitlines()[-1].partition(" To overwrite the other manager's fields, run: ")
    assert (process.returncode, message, command) == (
        3,
        f"Error: The API server refused to create or patch secrets/regcred in namespace {TEAM_NAMESPACE}: "
        'Apply failed with 1 conflict: conflict with "kubectl-edit" using v1: .data..dockerconfigjson.',
        f"kubectl -n {TEAM_NAMESPACE} delete secret regcred, and run bootstrap again.",
    )
    stack.kubectl(*command.partition(",")[0].split()[1:])
    assert bootstrap(login=registry.docker_config()).returncode == 0


def test_secret_of_one_team_is_the_source_for_another(stack: Stack, bootstrap: Bootstrap, registry: Registry):
    assert bootstrap(login=registry.docker_config()).returncode == 0
    process = bootstrap("--team", OTHER_NAMESPACE, "--registry-secret", f"{TEAM_NAMESPACE}/regcred")
    assert process.returncode == 0, process.stderr
    assert stack.read_secret("regcred", OTHER_NAMESPACE) == stack.read_secret("regcred", TEAM_NAMESPACE)
    dry_run = bootstrap("--registry-secret", f"{TEAM_NAMESPACE}/regcred", "--dry-run", "--detailed-exitcode")
    assert (dry_run.returncode, dry_run.stdout.splitlines()[-1]) == (
        0,
        "Plan: 0 to create, 0 to change, 3 unchanged, 0 blocked.",
    )


def wait_until_unchanged(stack: Stack) -> None:
    """Wait until the team's objects stay the same for a second, because a killed run's last request may still run."""
    states: list[Any] = [None]

    def check_unchanged() -> None:
        items = stack.get("secrets,pods", "-n", TEAM_NAMESPACE)["items"]
        states.append([(item["metadata"]["uid"], item.get("spec")) for item in items])
        if states[-1] != states[-2]:
            raise NotYet(f"{len(items)} objects, changed since the last look")

    wait_for("the team's objects to stay the same", check_unchanged, deadline_s=20, interval_s=1)


def test_next_run_deletes_the_remains_of_a_killed_one(
    stack: Stack, programs: Path, bootstrap: Bootstrap, registry: Registry
):
    words = [
        programs / "platformctl",
        "bootstrap",
        "--namespace",
        CONTRACT_NAMESPACE,
        "--yes",
        "--team",
        TEAM_NAMESPACE,
    ]
    pipe = subprocess.PIPE
    first_run = subprocess.Popen(
        [*words, "--registry-config", "-"], env=stack.environment, stdin=pipe, stderr=pipe, text=True
    )
    assert first_run.stdin
    first_run.stdin.write(json.dumps(registry.docker_config()))
    first_run.stdin.close()

    def kill_after_check() -> None:
        if "Pod registry-check" not in list_objects(stack):
            raise NotYet("no pod")
        first_run.send_signal(signal.SIGKILL)

    wait_for("the check on a node", kill_after_check, deadline_s=60, interval_s=0.1)
    first_run.wait(10)
    assert "Pod registry-check" in list_objects(stack)
    wait_until_unchanged(stack)
    assert bootstrap(login=registry.docker_config()).returncode == 0
    assert list_objects(stack) == ["Secret regcred"]


@pytest.fixture(scope="module")
def tls_registry(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry that this machine accesses over TLS."""
    with run_registry(stack.programs, tmp_path_factory.mktemp("tls"), tls=True) as server:
        yield server


@pytest.fixture(scope="module")
def tls_team(stack: Stack, airflow: AirflowApi, tls_registry: Registry) -> Iterator[TemporaryTeams]:
    with publish_registry_teams(stack, airflow, TLS_NAMESPACE, 1, tls_registry) as resource:
        yield resource


@pytest.mark.parametrize("is_valid", [False, True], ids=["wrong", "right"])
def test_login_is_checked_from_here_over_tls(
    stack: Stack, programs: Path, tls_team: TemporaryTeams, tls_registry: Registry, is_valid: bool
):
    login = tls_registry.docker_config() if is_valid else tls_registry.docker_config("guessed")
    process = subprocess.run(
        [programs / "platformctl", "bootstrap", "--namespace", TLS_NAMESPACE, "--yes", "--registry-config", "-"],
        env={**stack.environment, "SSL_CERT_FILE": str(tls_registry.ca_file)},
        input=json.dumps(login),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert process.returncode == (0 if is_valid else 3), process.stderr
    assert list_objects(stack, f"{TLS_NAMESPACE}-0") == (["Secret regcred"] if is_valid else [])
    if is_valid:
        assert read_evidence(process).endswith("login accepted (checked from this machine)")
    else:
        assert (
            f"Registry {tls_registry.host} rejected the login (HTTP 401, checked from this machine)" in process.stderr
        )
