"""Check a registry login over the registry's API, as `docker login` does.

The password is sent only to the registry or the token service that it names, and only over TLS. Redirects are not
followed, and a registry without TLS is not checked.
"""

from __future__ import annotations

import base64
import json
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from http.client import HTTPException
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, HTTPSHandler, OpenerDirector, Request, build_opener
from urllib.request import parse_http_list as parse_list
from urllib.request import parse_keqv_list as parse_pairs

from kpo_platform.bootstrap.model import RegistryLogin
from kpo_platform.bootstrap.registry.hosts import is_docker_hub
from kpo_platform.kube import start_in_thread

_TIMEOUT_SECONDS = 5.0
_UNAUTHORIZED, _FORBIDDEN = 401, 403
_MAX_ANSWER_BYTES = 1 << 20
_HUB_API = "registry-1.docker.io"
# The certificate folders of docker and podman. Each has one folder per registry host.
_CERTIFICATES = ("/etc/docker/certs.d", "/etc/containers/certs.d")


class LoginStatus(StrEnum):
    """Result of a login check."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNVERIFIED = "unverified"


@dataclass(frozen=True)
class LoginResult:
    """Result of a login check with its evidence.

    Attributes:
        status: whether the registry accepted the login.
        evidence: where it was checked and the answer, in a few words.
        retry_on_node: whether to check again from a node, which may reach the registry.
    """

    status: LoginStatus
    evidence: str
    retry_on_node: bool = False


def check_login(host: str, login: RegistryLogin) -> LoginResult:
    """Check a login from this machine.

    Args:
        host: the registry's host, with a port if it has one.
        login: the login.
    """
    address = _HUB_API if is_docker_hub(host) else host.partition("/")[0]
    if _is_loopback(address):
        return _unverified("a loopback address is a different host on each machine")
    try:
        return _Registry(address).check(login)
    except HTTPError as error:
        return _unverified(f"the registry answered HTTP {error.code}")
    except (OSError, HTTPException, ValueError) as error:
        return _unverified(_describe_error(error))


def start_check(host: str, login: RegistryLogin) -> Callable[[float], LoginResult]:
    """Start a login check from this machine in a thread.

    Returns:
        A function that waits for the result. Its argument is the timeout in seconds, which also bounds name resolution.
    """
    wait = start_in_thread(lambda: check_login(host, login))

    def get_result(timeout: float) -> LoginResult:
        seconds = min(timeout, 2 * _TIMEOUT_SECONDS)
        try:
            return wait(seconds)
        except TimeoutError:
            return _unverified(f"no answer within {seconds:.0f} s")

    return get_result


class _Registry:
    """Client for a registry that trusts the certificates of docker and podman."""

    def __init__(self, address: str) -> None:
        self._url = f"https://{address}/v2/"
        self._opener: OpenerDirector = build_opener(HTTPSHandler(context=_create_tls_context(address)), _NoRedirects)

    def check(self, login: RegistryLogin) -> LoginResult:
        """Check a login with the authentication scheme that the registry requires."""
        try:
            self._get(self._url)
        except HTTPError as error:
            if error.code != _UNAUTHORIZED:
                raise
            challenges = _parse_challenges(error.headers.get_all("WWW-Authenticate") or [])
        else:
            return LoginResult(LoginStatus.UNVERIFIED, "the registry requires no login")
        try:
            self._log_in(login, challenges)
        except HTTPError as error:
            if error.code not in (_UNAUTHORIZED, _FORBIDDEN):
                raise
            return LoginResult(LoginStatus.REJECTED, f"HTTP {error.code}, checked from this machine")
        return LoginResult(LoginStatus.ACCEPTED, "checked from this machine")

    def _log_in(self, login: RegistryLogin, challenges: dict[str, dict[str, str]]) -> None:
        credentials = base64.b64encode(f"{login.username}:{login.password}".encode()).decode()
        if "bearer" in challenges:
            answer = self._get(_build_token_url(login, challenges["bearer"]), f"Basic {credentials}")
            self._get(self._url, f"Bearer {_parse_token(answer)}")
        elif "basic" in challenges:
            self._get(self._url, f"Basic {credentials}")
        else:
            raise ValueError(
                f"the registry requires the authentication scheme {', '.join(challenges) or '(none named)'}"
            )

    def _get(self, url: str, authorization: str = "") -> bytes:
        # urllib does not repeat an unredirected header after a redirect.
        request = Request(url, headers={"Accept": "application/json", "User-Agent": "platformctl"})
        if authorization:
            request.add_unredirected_header("Authorization", authorization)
        with self._opener.open(request, timeout=_TIMEOUT_SECONDS) as reply:
            return bytes(reply.read(_MAX_ANSWER_BYTES))


class _NoRedirects(HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Follow no redirect, so that urllib raises an HTTPError with the status."""
        return


def _create_tls_context(address: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    for folder in _CERTIFICATES:
        for file in sorted(Path(folder, address).glob("*.crt")):
            context.load_verify_locations(file)
    return context


def _parse_challenges(headers: list[str]) -> dict[str, dict[str, str]]:
    """Parse the authentication schemes that a registry offers, with their parameters."""
    parts = [header.partition(" ") for header in headers]
    return {
        scheme.lower(): parse_pairs([item for item in parse_list(rest) if "=" in item]) for scheme, _, rest in parts
    }


def _build_token_url(login: RegistryLogin, challenge: dict[str, str]) -> str:
    service = challenge.get("realm", "")
    if urlsplit(service).scheme != "https":
        raise ValueError("the registry's token service does not use TLS")
    query = {"account": login.username, "client_id": "platformctl"}
    query |= {"service": challenge["service"]} if "service" in challenge else {}
    return f"{service}{'&' if '?' in service else '?'}{urlencode(query)}"


def _parse_token(answer: bytes) -> str:
    try:
        content = json.loads(answer)
        return str(content.get("token") or content["access_token"])
    except (ValueError, KeyError, AttributeError):
        # Not chained: the parser's error may quote the token.
        raise ValueError("the registry's token service returned no token") from None


def _is_loopback(address: str) -> bool:
    host = urlsplit(f"//{address}").hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _unverified(reason: str) -> LoginResult:
    return LoginResult(LoginStatus.UNVERIFIED, f"not checked from this machine: {reason}", retry_on_node=True)


def _describe_error(error: Exception) -> str:
    """Describe why a check failed, with the same text on every operating system."""
    cause = error.reason if isinstance(error, URLError) else error
    if isinstance(cause, socket.gaierror):
        return "the registry's name cannot be resolved"
    if isinstance(cause, TimeoutError):
        return f"no answer within {_TIMEOUT_SECONDS:.0f} s"
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"the registry's certificate is not trusted ({cause.verify_message})"
    if isinstance(cause, ssl.SSLError):
        return "the registry does not use TLS, so no password is sent"
    return str(getattr(cause, "strerror", None) or cause) or type(cause).__name__
