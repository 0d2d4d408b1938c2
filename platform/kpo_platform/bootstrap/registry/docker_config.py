"""Sign-ins for container registries, as ``docker login`` and ``podman login`` write them into files.

Only the hosts that the contract names are looked up, so that a person's other sign-ins stay where they are.
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
from kpo_platform.errors import BootstrapError
from kpo_platform.kube import Deadline

SECRET_KEY = ".dockerconfigjson"
"""The key under which a registry secret has its configuration."""

_HUB = "index.docker.io"
_HUB_NAMES = {"docker.io", "index.docker.io", "registry-1.docker.io"}
_HELPER_SECONDS = 30
_SHORT_LIVED = {  # the users that cloud registries give with a token: of ECR, Artifact Registry and ACR
    "AWS": "12 hours",
    "oauth2accesstoken": "an hour",
    "00000000-0000-0000-0000-000000000000": "3 hours",
}
_TOKEN_USER = "<token>"  # the user that a credential helper names when it has a token instead of a password


@dataclass(frozen=True)
class RegistryCredentials:
    """What was found for the hosts that were asked for.

    Attributes:
        logins: host to sign-in.
        missing: host to the reason why there is none, as half a sentence.
        answers: host to what its registry said to the sign-in, as far as it was asked.
    """

    logins: Mapping[str, RegistryLogin] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)
    answers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Config:
    origin: str
    content: Mapping[str, Any] = field(repr=False)


def find_credentials(
    hosts: Iterable[str], source: str | None, stdin: TextIO, deadline: Deadline
) -> RegistryCredentials:
    """Look up sign-ins for some registries.

    Args:
        hosts: the registries' hosts, with their ports if they have one.
        source: a docker or podman configuration file, ``-`` for standard input, or nothing for the usual
            files.
        stdin: the standard input.
        deadline: when credential helpers have to be done; one takes at most 30 seconds.

    Raises:
        BootstrapError: a configuration cannot be read.
    """
    wanted = sorted(set(hosts))
    return _find_all(wanted, _read_configs(source, stdin), deadline) if wanted else RegistryCredentials()


def read_credentials(
    hosts: Iterable[str], origin: str, secret: Mapping[str, Any], deadline: Deadline
) -> RegistryCredentials:
    """Look up sign-ins in a Secret of the cluster, such as one that pods pull with already.

    Args:
        hosts: the registries' hosts.
        origin: the Secret's namespace and name, for messages.
        secret: the Secret.
        deadline: as for ``find``.

    Raises:
        BootstrapError: it is no registry secret.
    """
    if SECRET_KEY not in (secret.get("data") or {}):
        raise BootstrapError(
            f"The Secret {origin} is of type {secret.get('type')} and has no {SECRET_KEY}; expected one of type "
            "kubernetes.io/dockerconfigjson, as kubectl create secret docker-registry makes it."
        )
    return _find_all(sorted(set(hosts)), [_read_secret(origin, secret)], deadline)


def read_secret_logins(origin: str, secret: Mapping[str, Any]) -> dict[str, RegistryLogin | str]:
    """All that a Secret of the cluster has: a registry's bare host to its sign-in, or to the reason why it is none.

    Args:
        origin: the Secret's namespace and name, for messages.
        secret: the Secret; of one that is no registry secret there is nothing.
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


def _find_all(hosts: list[str], configs: list[_Config], deadline: Deadline) -> RegistryCredentials:
    logins: dict[str, RegistryLogin] = {}
    missing: dict[str, str] = {}
    for host in hosts:
        found = _find_login(host, configs, deadline)
        if isinstance(found, RegistryLogin):
            logins[host] = found
        else:
            missing[host] = found
    return RegistryCredentials(logins, missing)


def use_password(hosts: Iterable[str], username: str, ask: Callable[[str], str]) -> RegistryCredentials:
    """The sign-in of a person who names user and password themselves, for the one registry that the teams have.

    Args:
        hosts: the registries' hosts; where there is none nobody is asked.
        username: the user.
        ask: gives the password for a host.

    Raises:
        BootstrapError: there are several registries, and the password of one is not for the others to see.
    """
    wanted = sorted(set(hosts))
    if len(wanted) > 1:
        raise BootstrapError(
            f"--registry-username is for one registry, and the teams have {', '.join(wanted)}: "
            "choose teams of one registry with --team, or give --registry-config."
        )
    return RegistryCredentials({host: RegistryLogin(username, ask(host)) for host in wanted})


def get_auths_key(host: str) -> str:
    """The key of a registry in a docker configuration; Docker Hub has one of its own."""
    return f"https://{_HUB}/v1/" if is_docker_hub(host) else host


def is_docker_hub(host: str) -> bool:
    """Whether a registry is Docker Hub, under any of its names."""
    return normalize_host(host) == _HUB


def normalize_host(host: str) -> str:
    """A registry's bare host, whatever form a configuration gives it; of all names of Docker Hub one."""
    bare = re.sub(r"^https?://", "", host.strip())
    bare = re.sub(r"/(v[12]/?)?$", "", bare)
    return _HUB if bare in _HUB_NAMES else bare


def describe_expiry(login: RegistryLogin) -> str:
    """For a sign-in that soon ends by itself, words that say so; nothing for one that lasts."""
    life = _SHORT_LIVED.get(login.username)
    return f"; such a sign-in ends {life} after it was given out, so run again before that" if life else ""


def list_default_files(environment: Mapping[str, str], home: Path) -> list[Path]:
    """The files that docker and podman use, in the order in which they are asked."""
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
        raise BootstrapError(f"The registry configuration {file} cannot be read: {reason}.") from error


def _parse(origin: str, text: str) -> _Config:
    try:
        content = json.loads(text)
    except ValueError:
        content = None
    shapes = {"auths": dict, "credHelpers": dict, "credsStore": str}
    if not isinstance(content, dict) or any(
        not isinstance(content.get(key, shape()), shape) for key, shape in shapes.items()
    ):
        # The parser's own words are left out, and its error unchained: they quote the text, which is secret.
        raise BootstrapError(
            f"The registry configuration in {origin} is broken: expected JSON as `docker login` writes it; "
            "sign in again or name another file with --registry-config."
        )
    return _Config(origin, content)


def _find_login(host: str, configs: list[_Config], deadline: Deadline) -> RegistryLogin | str:
    reasons = []
    for config in configs:
        helper = _find_helper(host, config.content)
        found = _run_helper(helper, host, min(_HELPER_SECONDS, deadline.remaining_seconds())) if helper else None
        if not isinstance(found, RegistryLogin):
            found = _parse_entries(config).get(normalize_host(host)) or found
        if isinstance(found, RegistryLogin):
            return found
        reasons.append(found or f"{config.origin} has none")
    return "; ".join(reasons) or "no docker or podman configuration was found"


def _find_helper(host: str, content: Mapping[str, Any]) -> str:
    by_host = {normalize_host(key): helper for key, helper in content.get("credHelpers", {}).items()}
    return str(by_host.get(normalize_host(host)) or content.get("credsStore") or "")


def _run_helper(helper: str, host: str, seconds: float) -> RegistryLogin | str:
    program = f"docker-credential-{helper}"
    if not re.fullmatch(r"[A-Za-z0-9._-]+", helper):
        return "the configured credential helper is not a program's name"
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
        return f"{program} did not answer within {seconds:.0f} s"
    except (subprocess.CalledProcessError, ValueError, KeyError, TypeError, OSError):
        return f"{program} has none"  # its output is not quoted: it may hold what it was asked for
    return _make_login(username, password, program)


def _parse_entries(config: _Config) -> dict[str, RegistryLogin | str]:
    auths = config.content.get("auths", {})
    return {
        normalize_host(key): _parse_entry(each, config.origin)
        for key, each in auths.items()
        if each and isinstance(each, dict)
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
        return f"{origin} has only an identity token, which a node cannot use: sign in with a password"
    if not username or not password:
        return f"{origin} has an entry without user or password"
    return RegistryLogin(username, password)
