"""Find registry credentials in the configurations of docker and podman.

Only the hosts that the contract names are looked up. Other credentials of the user are not read.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import subprocess
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from kpo_platform.bootstrap.model import RegistryLogin
from kpo_platform.bootstrap.registry.hosts import get_auths_key, normalize_host
from kpo_platform.errors import BootstrapError
from kpo_platform.kube import Deadline

SECRET_KEY = ".dockerconfigjson"
"""The key of a registry secret that holds its docker configuration."""

_HELPER_TIMEOUT_SECONDS = 30
# Lifetimes by the user name that ECR, Artifact Registry and ACR use with a token.
_TOKEN_LIFETIMES = {
    "AWS": "12 hours",
    "oauth2accesstoken": "an hour",
    "00000000-0000-0000-0000-000000000000": "3 hours",
}
# A credential helper returns this user name if it has an identity token instead of a password.
_TOKEN_USER = "<token>"


@dataclass(frozen=True)
class RegistryCredentials:
    """Credentials for some registries.

    Attributes:
        logins: the logins by host.
        missing: by host, why there is no login, as part of a sentence.
        results: by host, the result of the login check, as the end of a sentence.
    """

    logins: Mapping[str, RegistryLogin] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)
    results: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Config:
    origin: str
    content: Mapping[str, Any] = field(repr=False)


def find_credentials(
    hosts: Iterable[str], source: str | None, stdin: TextIO, deadline: Deadline
) -> RegistryCredentials:
    """Find credentials for some registries in docker's and podman's configurations.

    Args:
        hosts: the registries' hosts, with a port if they have one.
        source: a docker or podman configuration file, ``-`` for standard input, or None for the default files.
        stdin: the standard input.
        deadline: the deadline of all credential helpers. One helper has at most 30 seconds.

    Raises:
        BootstrapError: a configuration cannot be read.
    """
    sorted_hosts = sorted(set(hosts))
    return _find_logins(sorted_hosts, _read_configs(source, stdin), deadline) if sorted_hosts else RegistryCredentials()


def read_secret_credentials(
    hosts: Iterable[str], origin: str, secret: Mapping[str, Any], deadline: Deadline
) -> RegistryCredentials:
    """Read credentials from a registry secret of the cluster.

    Args:
        hosts: the registries' hosts.
        origin: the Secret's namespace and name, for messages.
        secret: the Secret.
        deadline: the deadline of all credential helpers.

    Raises:
        BootstrapError: the Secret is not a registry secret.
    """
    if SECRET_KEY not in (secret.get("data") or {}):
        raise BootstrapError(
            f"Secret {origin} has no key {SECRET_KEY}: its type is {secret.get('type')}. Name a Secret of type "
            "kubernetes.io/dockerconfigjson, as kubectl create secret docker-registry creates it."
        )
    return _find_logins(sorted(set(hosts)), [_read_secret(origin, secret)], deadline)


def read_secret_logins(origin: str, secret: Mapping[str, Any]) -> dict[str, RegistryLogin | str]:
    """Read the logins of a Secret.

    Args:
        origin: the Secret's namespace and name, for messages.
        secret: the Secret.

    Returns:
        By normalized registry host, the login, or the reason why the entry has none. Empty if the Secret is not a
        registry secret.
    """
    try:
        return _parse_entries(_read_secret(origin, secret))
    except BootstrapError:
        return {}


def _read_secret(origin: str, secret: Mapping[str, Any]) -> _Config:
    try:
        text = base64.b64decode((secret.get("data") or {}).get(SECRET_KEY, "")).decode()
    except ValueError:
        text = ""
    return _parse(f"Secret {origin}", text)


def _find_logins(hosts: list[str], configs: list[_Config], deadline: Deadline) -> RegistryCredentials:
    logins: dict[str, RegistryLogin] = {}
    missing: dict[str, str] = {}
    for host in hosts:
        result = _find_login(host, configs, deadline)
        if isinstance(result, RegistryLogin):
            logins[host] = result
        else:
            missing[host] = result
    return RegistryCredentials(logins, missing)


def build_credentials(hosts: Iterable[str], username: str, read_password: Callable[[str], str]) -> RegistryCredentials:
    """Build credentials from a user and a password for the teams' only registry.

    Args:
        hosts: the registries' hosts. Without hosts, no password is read.
        username: the user.
        read_password: reads or prompts for the password for a host.

    Raises:
        BootstrapError: there are several registries. The password of one must not be sent to the others.
    """
    sorted_hosts = sorted(set(hosts))
    if len(sorted_hosts) > 1:
        raise BootstrapError(
            f"--registry-username supports one registry, but the teams have {', '.join(sorted_hosts)}. "
            "Choose teams of one registry with --team, or pass --registry-config."
        )
    return RegistryCredentials({host: RegistryLogin(username, read_password(host)) for host in sorted_hosts})


def describe_expiry(login: RegistryLogin) -> str:
    """Describe when a cloud registry's token expires; empty for another login."""
    lifetime = _TOKEN_LIFETIMES.get(login.username)
    return f"; such a token expires {lifetime} after it was issued, so run again before then" if lifetime else ""


def list_default_files(environment: Mapping[str, str], home: Path) -> list[Path]:
    """List the default configuration files of docker and podman, in the order of use."""
    docker = Path(environment.get("DOCKER_CONFIG") or home / ".docker") / "config.json"
    config_home = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
    files = [docker, config_home / "containers" / "auth.json"]
    if runtime := environment.get("XDG_RUNTIME_DIR"):
        files.insert(1, Path(runtime) / "containers" / "auth.json")
    if named := environment.get("REGISTRY_AUTH_FILE"):
        files.insert(0, Path(named))
    return files


def _read_configs(source: str | None, stdin: TextIO) -> list[_Config]:
    if source == "-":
        return [_parse("standard input", stdin.read())]
    if source is not None:
        return [_parse_file(Path(source))]
    return [_parse_file(file) for file in list_default_files(os.environ, Path.home()) if file.is_file()]


def _parse_file(file: Path) -> _Config:
    try:
        return _parse(str(file), file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise BootstrapError(
            f"Cannot read the registry configuration {file}: {reason}. Name another file with --registry-config."
        ) from error


def _parse(origin: str, text: str) -> _Config:
    try:
        content = json.loads(text)
    except ValueError:
        content = None
    shapes = {"auths": dict, "credHelpers": dict, "credsStore": str}
    if not isinstance(content, dict) or any(
        not isinstance(content.get(key, shape()), shape) for key, shape in shapes.items()
    ):
        # Neither quoted nor chained: the parser's error quotes the text, which is secret.
        raise BootstrapError(
            f"The registry configuration in {origin} is invalid: expected JSON as `docker login` writes it. "
            "Log in again or name another file with --registry-config."
        )
    return _Config(origin, content)


def _find_login(host: str, configs: list[_Config], deadline: Deadline) -> RegistryLogin | str:
    """Find the login for a host in the first configuration that has one, or else the reasons."""
    reasons = []
    for config in configs:
        helper = _find_helper(host, config.content)
        timeout = min(_HELPER_TIMEOUT_SECONDS, deadline.remaining_seconds())
        result = _run_helper(helper, host, timeout) if helper else None
        if not isinstance(result, RegistryLogin):
            result = _parse_entries(config).get(normalize_host(host)) or result
        if isinstance(result, RegistryLogin):
            return result
        reasons.append(result or f"{config.origin} has none")
    return "; ".join(reasons) or "no docker or podman configuration was found"


def _find_helper(host: str, content: Mapping[str, Any]) -> str:
    by_host = {normalize_host(key): helper for key, helper in content.get("credHelpers", {}).items()}
    return str(by_host.get(normalize_host(host)) or content.get("credsStore") or "")


def _run_helper(helper: str, host: str, seconds: float) -> RegistryLogin | str:
    program = f"docker-credential-{helper}"
    if not re.fullmatch(r"[A-Za-z0-9._-]+", helper):
        return "the name of the configured credential helper is invalid"
    try:
        answer = subprocess.run(
            [program, "get"],
            input=get_auths_key(host),
            capture_output=True,
            text=True,
            timeout=seconds,
            check=True,
        )
        content = json.loads(answer.stdout)
        username, password = str(content["Username"]), str(content["Secret"])
    except FileNotFoundError:
        return f"{program} is not installed"
    except subprocess.TimeoutExpired:
        return f"{program} timed out after {seconds:.0f} s"
    except (subprocess.CalledProcessError, ValueError, KeyError, TypeError, OSError):
        return f"{program} has none"  # its output is not quoted: it may hold the password
    return _make_login(username, password, program)


def _parse_entries(config: _Config) -> dict[str, RegistryLogin | str]:
    auths = config.content.get("auths", {})
    return {
        normalize_host(key): _parse_entry(entry, config.origin)
        for key, entry in auths.items()
        if entry and isinstance(entry, dict)
    }


def _parse_entry(entry: Mapping[str, Any], origin: str) -> RegistryLogin | str:
    if entry.get("identitytoken"):
        return _make_login(_TOKEN_USER, "", origin)
    username, password = entry.get("username"), entry.get("password")
    if entry.get("auth"):
        try:
            username, _, password = base64.b64decode(entry["auth"], validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError, TypeError, ValueError):
            return f"the entry in {origin} is not base64 of user:password"
    return _make_login(str(username or ""), str(password or "").rstrip("\0"), origin)


def _make_login(username: str, password: str, origin: str) -> RegistryLogin | str:
    if username == _TOKEN_USER:
        return f"{origin} has only an identity token, which nodes cannot use: log in with a password"
    if not username or not password:
        return f"{origin} has an entry without user name or password"
    return RegistryLogin(username, password)
