"""bootstrap.registry.docker_config: sources of registry credentials."""

from __future__ import annotations

import io
import json
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

import pytest

from kpo_platform.bootstrap.model import RegistryLogin
from kpo_platform.bootstrap.registry.docker_config import (
    RegistryCredentials,
    build_credentials,
    find_credentials,
    list_default_files,
)
from kpo_platform.errors import BootstrapError
from kpo_platform.kube import Deadline
from unit.support.platformctl import Cluster, CommandResult, Platformctl

HOST = "registry.test:5000"
EMPTY_STDIN = io.StringIO("")


def build_auth(user: str, password: str) -> dict[str, str]:
    return {"auth": b64encode(f"{user}:{password}".encode()).decode()}


def find_in_stdin(*hosts: str, **content: Any) -> RegistryCredentials:
    return find_credentials(hosts, "-", io.StringIO(json.dumps(content)), Deadline(30))


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory for programs, in PATH with the system's directories only."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path


def write_program(directory: Path, name: str, script: str) -> None:
    file = directory / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


def test_only_requested_hosts_are_returned():
    credentials = find_in_stdin(
        HOST, auths={HOST: build_auth("robot", "s3cret:with:colons"), "other.test": build_auth("me", "mine")}
    )
    assert credentials == RegistryCredentials({HOST: RegistryLogin("robot", "s3cret:with:colons")})


def test_no_configuration_is_read_without_hosts():
    assert find_credentials([], "/no/such/file", EMPTY_STDIN, Deadline(30)) == RegistryCredentials()


@pytest.mark.parametrize("key", [f"https://{HOST}", f"https://{HOST}/v1/", f"http://{HOST}/v2/", f"{HOST}/"])
def test_host_is_found_under_every_key_that_docker_writes(key: str):
    assert find_in_stdin(HOST, auths={key: build_auth("a", "b")}).logins == {HOST: RegistryLogin("a", "b")}


def test_docker_hub_is_found_under_its_own_key():
    credentials = find_in_stdin("docker.io", auths={"https://index.docker.io/v1/": build_auth("a", "b")})
    assert credentials.logins == {"docker.io": RegistryLogin("a", "b")}


def test_separate_user_and_password_are_read():
    assert find_in_stdin(HOST, auths={HOST: {"username": "a", "password": "b"}}).logins == {
        HOST: RegistryLogin("a", "b")
    }


def test_host_helper_overrides_store_and_store_overrides_file(programs: Path):
    for name in ("host", "store"):
        script = f'read host; printf \'{{"Username":"{name}","Secret":"of %s"}}\' "$host"'
        write_program(programs, f"docker-credential-{name}", script)
    content = {
        "auths": {HOST: build_auth("file", "f"), "other.test": build_auth("file", "f")},
        "credHelpers": {HOST: "host"},
        "credsStore": "store",
    }
    assert find_in_stdin(HOST, "other.test", **content).logins == {
        HOST: RegistryLogin("host", f"of {HOST}"),
        "other.test": RegistryLogin("store", "of other.test"),
    }


def test_file_is_used_if_the_store_has_no_entry(programs: Path):
    write_program(programs, "docker-credential-empty", "echo credentials not found in native keychain; exit 1")
    credentials = find_in_stdin(HOST, auths={HOST: build_auth("a", "b")}, credsStore="empty")
    assert credentials.logins == {HOST: RegistryLogin("a", "b")}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({}, "standard input has none"),
        ({"auths": {HOST: {}}}, "standard input has none"),
        ({"auths": {HOST: {"auth": "%%%"}}}, "the entry in standard input is not base64 of user:password"),
        ({"auths": {HOST: {"auth": "bm9wZQ=="}}}, "standard input has an entry without user name or password"),
        (
            {"auths": {HOST: {"identitytoken": "x"}}},
            "standard input has only an identity token, which nodes cannot use: log in with a password",
        ),
        ({"credsStore": "absent"}, "docker-credential-absent is not installed"),
        ({"credsStore": "../../bin/sh"}, "the name of the configured credential helper is invalid"),
    ],
)
def test_missing_login_has_a_reason(content: dict[str, Any], reason: str, programs: Path):
    assert find_in_stdin(HOST, **content) == RegistryCredentials({}, {HOST: reason})


def test_helper_output_is_never_quoted(programs: Path):
    write_program(programs, "docker-credential-chatty", "echo the password is s3cret; exit 1")
    credentials = find_in_stdin(HOST, credsStore="chatty")
    assert credentials == RegistryCredentials({}, {HOST: "docker-credential-chatty has none"})


@pytest.mark.parametrize("text", ["", "s3cret", "[]", '{"auths": []}', '{"credsStore": {}}'])
def test_invalid_configuration_is_rejected_without_quoting_it(text: str):
    with pytest.raises(BootstrapError) as error:
        find_credentials([HOST], "-", io.StringIO(text), Deadline(30))
    assert str(error.value) == (
        "The registry configuration in standard input is invalid: expected JSON as `docker login` writes it. "
        "Log in again or name another file with --registry-config."
    )
    assert error.value.__cause__ is None


def test_missing_file_is_named(tmp_path: Path):
    with pytest.raises(BootstrapError) as error:
        find_credentials([HOST], str(tmp_path / "absent.json"), EMPTY_STDIN, Deadline(30))
    assert str(error.value) == (
        f"Cannot read the registry configuration {tmp_path / 'absent.json'}: No such file or directory. "
        "Name another file with --registry-config."
    )


def test_default_files_are_those_of_docker_and_podman():
    environment = {"REGISTRY_AUTH_FILE": "/named.json", "DOCKER_CONFIG": "/docker", "XDG_RUNTIME_DIR": "/run/me"}
    assert [str(file) for file in list_default_files(environment, Path("/home/me"))] == [
        "/named.json",
        "/docker/config.json",
        "/run/me/containers/auth.json",
        "/home/me/.config/containers/auth.json",
    ]
    assert [str(file) for file in list_default_files({}, Path("/home/me"))] == [
        "/home/me/.docker/config.json",
        "/home/me/.config/containers/auth.json",
    ]


def test_login_repr_shows_no_credentials():
    assert repr(RegistryLogin("robot", "s3cret")) == "RegistryLogin()"


def test_given_user_gets_a_login_for_the_only_registry():
    credentials = build_credentials([HOST, HOST], "robot", lambda host: f"for {host}")
    assert credentials == RegistryCredentials({HOST: RegistryLogin("robot", f"for {HOST}")})


def test_no_password_prompt_without_registry():
    def fail(host: str) -> str:
        raise AssertionError(host)

    assert build_credentials([], "robot", fail) == RegistryCredentials()


def test_given_user_is_rejected_for_several_registries():
    with pytest.raises(BootstrapError) as error:
        build_credentials([HOST, "other.test"], "robot", lambda _: "p")
    assert str(error.value) == (
        f"--registry-username supports one registry, but the teams have other.test, {HOST}. "
        "Choose teams of one registry with --team, or pass --registry-config."
    )


@pytest.mark.parametrize("prompts", [True, False], ids=["prompt", "environment variable"])
def test_password_is_written_to_the_secret_and_not_shown(
    platformctl: Platformctl, cluster: Cluster, monkeypatch: pytest.MonkeyPatch, prompts: bool
):
    monkeypatch.setenv("REGISTRY_PASSWORD", "from-a-variable")
    monkeypatch.setattr("click.termui.hidden_prompt_func", lambda _: "typed")
    more = () if prompts else ("--registry-password-env", "REGISTRY_PASSWORD")
    words = (*cluster.bootstrap, "--yes", "--registry-username", "robot", *more)
    result = platformctl(*words, terminal=True)
    password = "typed" if prompts else "from-a-variable"
    secret = cluster.platform.objects["/api/v1/namespaces/team-alpha/secrets/regcred"]
    config = json.loads(b64decode(secret["data"][".dockerconfigjson"]))
    assert (result.code, config) == (0, {"auths": {"registry.test": build_auth("robot", password)}})
    assert password not in result.out + result.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--registry-username", "robot", "--registry-config", "-"],
            "--registry-username and --registry-config exclude each other. Pass only one of them.",
        ),
        (
            ["--registry-secret", "team-alpha/regcred", "--registry-config", "-"],
            "--registry-config and --registry-secret exclude each other. Pass only one of them.",
        ),
        (
            ["--registry-secret", "regcred"],
            "--registry-secret is 'regcred'. Pass NAMESPACE/NAME, such as team-alpha/regcred.",
        ),
        (["--registry-password-env", "X"], "--registry-password-env requires --registry-username."),
        (
            ["--registry-username", "robot", "--registry-password-env", "NO_SUCH_VARIABLE"],
            "Environment variable NO_SUCH_VARIABLE is not set. Set it to the registry password.",
        ),
        (
            ["--registry-username", "robot"],
            "Cannot prompt for the registry password of robot: stdin is not a terminal. Pass --registry-password-env.",
        ),
    ],
)
def test_conflicting_options_are_usage_errors(
    platformctl: Platformctl, cluster: Cluster, words: list[str], message: str
):
    result = platformctl(*cluster.bootstrap, "--yes", *words)
    assert (result.code, result.out, result.err.splitlines()[-1]) == (64, "", f"Error: {message}")
    assert cluster.server.seen == []


def bootstrap_from_secret(platformctl: Platformctl, cluster: Cluster, secret: dict[str, Any] | None) -> CommandResult:
    """Bootstrap team alpha with credentials from a Secret."""
    if secret is not None:
        stored_secret = {"metadata": {"name": "pull", "resourceVersion": "1"}, **secret}
        cluster.platform.objects["/api/v1/namespaces/shared/secrets/pull"] = stored_secret
    return platformctl(*cluster.bootstrap, "--yes", "--team", "alpha", "--registry-secret", "shared/pull")


def test_registry_secret_is_read_only_for_hosts_of_the_contract(platformctl: Platformctl, cluster: Cluster):
    config = json.dumps({"auths": {"registry.test": build_auth("robot", "s3cret"), "other.test": build_auth("x", "y")}})
    data = {".dockerconfigjson": b64encode(config.encode()).decode()}
    result = bootstrap_from_secret(platformctl, cluster, {"type": "kubernetes.io/dockerconfigjson", "data": data})
    secret = cluster.platform.objects["/api/v1/namespaces/team-alpha/secrets/regcred"]
    written = json.loads(b64decode(secret["data"][".dockerconfigjson"]))
    assert (result.code, written) == (0, {"auths": {"registry.test": build_auth("robot", "s3cret")}})


@pytest.mark.parametrize(
    ("secret", "message"),
    [
        (None, "Cannot get secrets/pull in namespace shared: not found. Check the name and the namespace."),
        (
            {"type": "Opaque", "data": {"password": "cA=="}},
            "Secret shared/pull has no key .dockerconfigjson: its type is Opaque. Name a Secret of type "
            "kubernetes.io/dockerconfigjson, as kubectl create secret docker-registry creates it.",
        ),
        (
            {"type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": "cA=="}},
            "The registry configuration in Secret shared/pull is invalid: expected JSON as `docker login` writes it. "
            "Log in again or name another file with --registry-config.",
        ),
    ],
)
def test_invalid_registry_secret_writes_nothing(
    platformctl: Platformctl, cluster: Cluster, secret: dict[str, Any] | None, message: str
):
    result = bootstrap_from_secret(platformctl, cluster, secret)
    assert (result.code, result.out, cluster.platform.writes) == (3, "", 0)
    assert result.err.splitlines()[-1] == f"Error: {message}"
