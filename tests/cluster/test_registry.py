"""Sign-ins are tried at a real registry before they are written: from here over TLS, or else by a node; then used.

The registry is distribution's, with a password, on the cluster's own network. Without TLS only the node reaches it.
"""

from __future__ import annotations

import base64
import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster.support.pods.sleeper import POD
from cluster.support.services.registry import Registry, busybox_archive, run_registry
from common.polling import NotYet, wait_for
from stack.airflow_api import AirflowApi
from stack.release import Stack
from stack.temporary_teams import TemporaryTeams, publish_teams

HOME, FAR = "signin", "signtls"
SPACE, OTHER = f"{HOME}-0", f"{HOME}-1"
TEXT = "out of a private image\n"
IMAGE = "private/tool:1"
KIND = "kubernetes.io/dockerconfigjson"

Said = subprocess.CompletedProcess[str]
Bootstrap = Callable[..., Said]


@pytest.fixture(scope="module")
def registry(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with run_registry(stack.programs, tmp_path_factory.mktemp("registry")) as found:
        found.push_image(*IMAGE.split(":"), busybox_archive(), {"text": TEXT})
        yield found


@pytest.fixture(scope="module")
def teams(stack: Stack, airflow: AirflowApi, registry: Registry) -> Iterator[TemporaryTeams]:
    """Two teams of the registry, with the account that their pods run under."""
    with having(stack, airflow, HOME, 2, registry) as it:
        yield it


def having(stack: Stack, airflow: AirflowApi, home: str, number: int, registry: Registry) -> Any:
    return publish_teams(stack, airflow, home, number, 0, registry={"host": registry.host, "pullSecret": "regcred"})


@pytest.fixture
def bootstrap(stack: Stack, programs: Path, registry: Registry, teams: TemporaryTeams) -> Bootstrap:
    """Runs bootstrap for one team with nothing there yet."""
    for namespace in teams.namespaces:
        stack.kubectl("delete", "secrets,pods", "--all", "-n", namespace, "--grace-period=1")
        account = stack.kubectl(
            "create", "serviceaccount", "team-pod", "-n", namespace, "--dry-run=client", "-o", "json"
        )
        stack.kubectl("apply", "-f", "-", stdin=account)
    words = [programs / "platformctl", "bootstrap", "--namespace", HOME, "--yes"]

    def run(*more: str, login: dict[str, Any] | None = None) -> Said:
        given = ("--registry-config", "-") if login else ()
        text = json.dumps(login) if login else ""
        line = [*words, *given, *(more or ("--team", SPACE))]
        return subprocess.run(line, env=stack.environment, input=text, capture_output=True, text=True, timeout=180)

    return run


def left(stack: Stack, namespace: str = SPACE) -> list[str]:
    """The Secrets and pods of a team, once what goes has gone."""
    return sorted(
        f"{each['kind']} {each['metadata']['name']}" for each in stack.get("secrets,pods", "-n", namespace)["items"]
    )


def evidence(said: Said) -> str:
    return next(line for line in said.stdout.splitlines() if line[0] in "✔?✗" and " Secret " in line)


def test_a_node_finds_a_wrong_password_and_nothing_is_written(stack: Stack, bootstrap: Bootstrap, registry: Registry):
    said = bootstrap(login=registry.docker_config("guessed"))
    assert (said.returncode, said.stderr.splitlines()[-1]) == (
        3,
        "Error: Registry localhost:5000 rejected the login (checked from a node, which reported: 401 Unauthorized). "
        "Nothing was written. Run docker login localhost:5000 or pass other credentials, and run again.",
    )
    assert left(stack) == []


def test_a_sign_in_that_a_node_found_to_be_right_pulls_the_private_image(
    stack: Stack, bootstrap: Bootstrap, registry: Registry
):
    said = bootstrap(login=registry.docker_config())
    assert said.returncode == 0, said.stderr
    assert evidence(said) == (
        f"✔ Secret {SPACE}/regcred: type {KIND}, for localhost:5000; "
        "login accepted (checked from a node, which reported: not found)"
    )
    assert left(stack) == ["Secret regcred"]
    assert pulled(stack, "stranger", []) == "ErrImagePull"
    assert pulled(stack, "guest", [{"name": "regcred"}]) == TEXT


def pulled(stack: Stack, name: str, secrets: list[dict[str, str]]) -> str:
    """Run a pod with the private image; gives what it printed, or why it could not be pulled."""
    base = {**POD["spec"]["containers"][0], "image": f"localhost:5000/{IMAGE}", "command": ["cat", "/text"]}
    spec = {**POD["spec"], "restartPolicy": "Never", "imagePullSecrets": secrets}
    pod = {**POD, "metadata": {"name": name}, "spec": {**spec, "containers": [{**base, "imagePullPolicy": "Always"}]}}
    stack.kubectl("apply", "-n", SPACE, "-f", "-", stdin=json.dumps(pod))

    def outcome() -> str:
        status = stack.get("pod", name, "-n", SPACE)["status"]
        waiting = (status.get("containerStatuses") or [{}])[0].get("state", {}).get("waiting", {})
        if status["phase"] == "Succeeded":
            return stack.kubectl("logs", name, "-n", SPACE)
        if "Pull" in waiting.get("reason", ""):
            return "ErrImagePull"
        raise NotYet(str(status))

    return wait_for(f"pod {name} to end", outcome, deadline_s=60)


@pytest.mark.parametrize("key", ["https://localhost:5000", "localhost:5000"])
def test_a_secret_of_another_hand_is_kept_as_long_as_a_node_can_use_it(
    stack: Stack, bootstrap: Bootstrap, registry: Registry, key: str
):
    entry = {"username": registry.user, "password": registry.password}
    content = json.dumps({"auths": {key: entry, "https://other.test/v1/": entry}})
    stack.kubectl(
        *("create", "secret", "generic", "regcred", "-n", SPACE, f"--type={KIND}"),
        "--from-file=.dockerconfigjson=/dev/stdin",
        stdin=content,
    )
    said = bootstrap(login=registry.docker_config())
    assert (said.returncode, said.stdout.splitlines()[0]) == (
        0,
        f"= Secret {SPACE}/regcred: unchanged (not managed by platformctl, and correct)",
    )
    assert evidence(said).startswith(f"? Secret {SPACE}/regcred: type {KIND}, for localhost:5000, other.test; ")
    assert pulled(stack, "guest", [{"name": "regcred"}]) == TEXT


def test_a_sign_in_that_another_hand_has_put_into_our_secret_is_had_back_by_the_command_that_is_told(
    stack: Stack, bootstrap: Bootstrap, registry: Registry
):
    assert bootstrap(login=registry.docker_config()).returncode == 0
    other = base64.b64encode(json.dumps(registry.docker_config("guessed")).encode()).decode()
    patch = json.dumps({"data": {".dockerconfigjson": other}})
    stack.kubectl("patch", "secret", "regcred", "-n", SPACE, "--field-manager=kubectl-edit", "-p", patch)
    said = bootstrap(login=registry.docker_config())
    why, _, way_out = said.stderr.splitlines()[-1].partition(" To overwrite the other manager's fields, run: ")
    assert (said.returncode, why, way_out) == (
        3,
        f"Error: The API server refused to create or patch secrets/regcred in namespace {SPACE}: Apply failed with 1 "
        'conflict: conflict with "kubectl-edit" using v1: .data..dockerconfigjson.',
        f"kubectl -n {SPACE} delete secret regcred, and run bootstrap again.",
    )
    stack.kubectl(*way_out.partition(",")[0].split()[1:])
    assert bootstrap(login=registry.docker_config()).returncode == 0


def test_a_secret_of_one_team_is_the_source_for_another(stack: Stack, bootstrap: Bootstrap, registry: Registry):
    assert bootstrap(login=registry.docker_config()).returncode == 0
    said = bootstrap("--team", OTHER, "--registry-secret", f"{SPACE}/regcred")
    assert said.returncode == 0, said.stderr
    assert stack.read_secret("regcred", OTHER) == stack.read_secret("regcred", SPACE)
    again = bootstrap("--registry-secret", f"{SPACE}/regcred", "--dry-run", "--detailed-exitcode")
    assert (again.returncode, again.stdout.splitlines()[-1]) == (
        0,
        "Plan: 0 to create, 0 to change, 3 unchanged, 0 blocked.",
    )


def test_what_a_killed_run_left_is_removed_by_the_next(
    stack: Stack, programs: Path, bootstrap: Bootstrap, registry: Registry
):
    words = [programs / "platformctl", "bootstrap", "--namespace", HOME, "--yes", "--team", SPACE]
    pipe = subprocess.PIPE
    killed = subprocess.Popen(
        [*words, "--registry-config", "-"], env=stack.environment, stdin=pipe, stderr=pipe, text=True
    )
    assert killed.stdin
    killed.stdin.write(json.dumps(registry.docker_config()))
    killed.stdin.close()

    def asked() -> None:
        if "Pod registry-check" not in left(stack):
            raise NotYet("no pod")
        killed.send_signal(signal.SIGKILL)

    wait_for("a node to be asked", asked, deadline_s=60, interval_s=0.1)
    killed.wait(10)
    assert "Pod registry-check" in left(stack)
    time.sleep(1)
    assert bootstrap(login=registry.docker_config()).returncode == 0
    assert left(stack) == ["Secret regcred"]


@pytest.fixture(scope="module")
def far(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry that this machine reaches over TLS."""
    with run_registry(stack.programs, tmp_path_factory.mktemp("tls"), tls=True) as found:
        yield found


@pytest.fixture(scope="module")
def its_team(stack: Stack, airflow: AirflowApi, far: Registry) -> Iterator[TemporaryTeams]:
    with having(stack, airflow, FAR, 1, far) as it:
        yield it


@pytest.mark.parametrize("right", [False, True], ids=["wrong", "right"])
def test_where_tls_leads_to_the_registry_it_is_asked_from_here(
    stack: Stack, programs: Path, its_team: TemporaryTeams, far: Registry, right: bool
):
    login = far.docker_config() if right else far.docker_config("guessed")
    said = subprocess.run(
        [programs / "platformctl", "bootstrap", "--namespace", FAR, "--yes", "--registry-config", "-"],
        env={**stack.environment, "SSL_CERT_FILE": str(far.ca_file)},
        input=json.dumps(login),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert said.returncode == (0 if right else 3), said.stderr
    assert left(stack, f"{FAR}-0") == (["Secret regcred"] if right else [])
    if right:
        assert evidence(said).endswith("login accepted (checked from this machine)")
    else:
        assert f"Registry {far.host} rejected the login (HTTP 401, checked from this machine)" in said.stderr
