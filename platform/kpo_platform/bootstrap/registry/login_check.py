"""Whether a registry takes a sign-in: asked over its own API, as `docker login` asks.

The password goes to the registry, or to the token service that it names, over TLS and nowhere else: redirects are not
followed, and a registry that speaks no TLS is not asked.
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
from kpo_platform.bootstrap.registry.docker_config import is_docker_hub
from kpo_platform.kube import start_in_thread

_SECONDS = 5.0
_OK, _UNAUTHORIZED, _FORBIDDEN = 200, 401, 403
_LONGEST_ANSWER = 1 << 20
_HUB_API = "registry-1.docker.io"
_CERTIFICATES = ("/etc/docker/certs.d", "/etc/containers/certs.d")  # where docker and podman look, a folder a host


class LoginStatus(StrEnum):
    """What became of the question."""

    ACCEPTED = "taken"
    REJECTED = "refused"
    UNVERIFIED = "unverified"


@dataclass(frozen=True)
class LoginResult:
    """Whether a registry takes a sign-in, and by what that was seen, in a few words.

    ``elsewhere`` says that it may be seen by another way, where this one did not show it.
    """

    status: LoginStatus
    evidence: str
    retry_on_node: bool = False


def check_login(host: str, login: RegistryLogin) -> LoginResult:
    """Ask a registry from this machine.

    Args:
        host: the registry's host, with its port if it has one.
        login: the sign-in.
    """
    address = _HUB_API if is_docker_hub(host) else host.partition("/")[0]
    if _is_loopback(address):
        return _unverified("it is another machine for whoever asks")
    try:
        return _Registry(address).takes(login)
    except HTTPError as error:
        return _unverified(f"it answers with HTTP status {error.code}")
    except (OSError, HTTPException, ValueError) as error:
        return _unverified(_describe_error(error))


def start_check(host: str, login: RegistryLogin) -> Callable[[float], LoginResult]:
    """Begin to ask a registry from this machine.

    Returns:
        Waits for the answer for so many seconds, and never for ever: resolving a name has no deadline of its own.
    """
    wait = start_in_thread(lambda: check_login(host, login))

    def result(most: float) -> LoginResult:
        seconds = min(most, 2 * _SECONDS)
        try:
            return wait(seconds)
        except TimeoutError:
            return _unverified(f"no answer within {seconds:.0f} s")

    return result


class _Registry:
    """A registry at an address, spoken to with the certificates that docker and podman would trust."""

    def __init__(self, address: str) -> None:
        self._url = f"https://{address}/v2/"
        self._opener: OpenerDirector = build_opener(HTTPSHandler(context=_create_tls_context(address)), _NoRedirects)

    def takes(self, login: RegistryLogin) -> LoginResult:
        """Ask by the scheme that it wants: the password itself, or a token that its service gives for it."""
        try:
            self._get(self._url)
        except HTTPError as error:
            if error.code != _UNAUTHORIZED:
                raise
            wanted = _parse_challenges(error.headers.get_all("WWW-Authenticate") or [])
        else:
            return LoginResult(LoginStatus.UNVERIFIED, "it asks nobody to sign in")
        try:
            self._sign_in(login, wanted)
        except HTTPError as error:
            if error.code not in (_UNAUTHORIZED, _FORBIDDEN):
                raise
            return LoginResult(LoginStatus.REJECTED, f"HTTP status {error.code}, asked from here")
        return LoginResult(LoginStatus.ACCEPTED, "asked from here")

    def _sign_in(self, login: RegistryLogin, wanted: dict[str, dict[str, str]]) -> None:
        basic = base64.b64encode(f"{login.username}:{login.password}".encode()).decode()
        if "bearer" not in wanted:
            if "basic" not in wanted:
                raise ValueError(f"it wants a sign-in by {', '.join(wanted) or 'nothing that it names'}")
            self._get(self._url, f"Basic {basic}")
            return
        challenge = wanted["bearer"]
        service = challenge.get("realm", "")
        if urlsplit(service).scheme != "https":
            raise ValueError("its token service speaks no TLS")
        query = {"account": login.username, "client_id": "platformctl"}
        query |= {"service": challenge["service"]} if "service" in challenge else {}
        answer = self._get(f"{service}{'&' if '?' in service else '?'}{urlencode(query)}", f"Basic {basic}")
        self._get(self._url, f"Bearer {_parse_token(answer)}")

    def _get(self, url: str, authorization: str = "") -> bytes:
        # Unredirected: even a handler that follows redirects would not send it on.
        request = Request(url, headers={"Accept": "application/json", "User-Agent": "platformctl"})
        if authorization:
            request.add_unredirected_header("Authorization", authorization)
        with self._opener.open(request, timeout=_SECONDS) as reply:
            return bytes(reply.read(_LONGEST_ANSWER))


class _NoRedirects(HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Follow none: an answer that points elsewhere is then an error with its status."""
        return


def _create_tls_context(address: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    for folder in _CERTIFICATES:
        for file in sorted(Path(folder, address).glob("*.crt")):
            context.load_verify_locations(file)
    return context


def _parse_challenges(headers: list[str]) -> dict[str, dict[str, str]]:
    """The schemes that a registry offers, each with its parameters."""
    parted = [header.partition(" ") for header in headers]
    return {
        scheme.lower(): parse_pairs([each for each in parse_list(rest) if "=" in each]) for scheme, _, rest in parted
    }


def _parse_token(answer: bytes) -> str:
    try:
        content = json.loads(answer)
        return str(content.get("token") or content["access_token"])
    except (ValueError, KeyError, AttributeError):
        # Unchained: the parser's words may quote the token.
        raise ValueError("its token service gives no token") from None


def _is_loopback(address: str) -> bool:
    host = urlsplit(f"//{address}").hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _unverified(why: str) -> LoginResult:
    return LoginResult(LoginStatus.UNVERIFIED, f"not asked from here: {why}", retry_on_node=True)


def _describe_error(error: Exception) -> str:
    """Why nothing came of it, in words that are the same on every machine."""
    cause = error.reason if isinstance(error, URLError) else error
    if isinstance(cause, socket.gaierror):
        return "its name is not known here"
    if isinstance(cause, TimeoutError):
        return f"no answer within {_SECONDS:.0f} s"
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted here ({cause.verify_message})"
    if isinstance(cause, ssl.SSLError):
        return "it speaks no TLS, without which no password is sent"
    return str(getattr(cause, "strerror", None) or cause) or type(cause).__name__
