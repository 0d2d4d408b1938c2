"""bootstrap.registry.login_check: accepted, rejected and unverified logins."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kpo_platform.bootstrap.model import RegistryLogin
from kpo_platform.bootstrap.registry import login_check
from kpo_platform.bootstrap.registry.login_check import LoginResult, LoginStatus, check_login
from unit.support.registry_server import BASIC, NAME, PASSWORD, USER, Registry, patch_name_resolution, serve_registry

RIGHT, WRONG = RegistryLogin(USER, PASSWORD), RegistryLogin(USER, "wrong")
ACCEPTED = LoginResult(LoginStatus.ACCEPTED, "checked from this machine")
REJECTED = LoginResult(LoginStatus.REJECTED, "HTTP 401, checked from this machine")


def unverified(reason: str) -> LoginResult:
    return LoginResult(LoginStatus.UNVERIFIED, f"not checked from this machine: {reason}", retry_on_node=True)


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    monkeypatch.setattr(login_check, "_CERTIFICATES", (str(tmp_path),))
    patch_name_resolution(monkeypatch)
    with serve_registry(tmp_path) as running:
        yield running


def test_password_is_sent_only_after_a_challenge(registry: Registry):
    assert check_login(registry.host, RIGHT) == ACCEPTED
    assert registry.seen == [("/v2/", ""), ("/v2/", BASIC)]
    assert check_login(registry.host, WRONG) == REJECTED


def test_token_service_gets_password_and_registry_gets_token(registry: Registry):
    registry.mode = "bearer"
    assert check_login(registry.host, RIGHT) == ACCEPTED
    query = "account=robot&client_id=platformctl&service=registry%2C+of+tests"
    assert registry.seen == [("/v2/", ""), (f"/token?{query}", BASIC), ("/v2/", "Bearer of-the-service")]
    assert check_login(registry.host, WRONG) == REJECTED


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("down", "the registry answered HTTP 503"),
        ("redirect", "the registry answered HTTP 302"),
        ("unknown-scheme", "the registry requires the authentication scheme negotiate"),
        ("plain-token", "the registry's token service does not use TLS"),
    ],
)
def test_unclear_answer_is_unverified_and_no_password_is_sent(registry: Registry, mode: str, reason: str):
    registry.mode = mode
    assert check_login(registry.host, RIGHT) == unverified(reason)
    assert registry.seen == [("/v2/", "")]


def test_registry_without_login_is_unverified_without_node_retry(registry: Registry):
    registry.mode = "open"
    assert check_login(registry.host, RIGHT) == LoginResult(LoginStatus.UNVERIFIED, "the registry requires no login")
    assert registry.seen == [("/v2/", "")]


def test_untrusted_certificate_gets_no_password(registry: Registry, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(login_check, "_CERTIFICATES", ())
    assert check_login(registry.host, RIGHT) == unverified(
        "the registry's certificate is not trusted (self-signed certificate)"
    )
    assert registry.seen == []


def test_registry_without_tls_gets_no_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    patch_name_resolution(monkeypatch)
    with serve_registry(tmp_path, tls=False) as plain:
        assert check_login(plain.host, RIGHT) == unverified("the registry does not use TLS, so no password is sent")
    assert plain.seen == []


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("elsewhere.test", "the registry's name cannot be resolved"),
        ("localhost:5000", "a loopback address is a different host on each machine"),
        ("127.0.0.1:5000", "a loopback address is a different host on each machine"),
        ("[::1]:5000", "a loopback address is a different host on each machine"),
        (f"{NAME}:1", "Connection refused"),
    ],
)
def test_unreachable_registry_is_unverified(monkeypatch: pytest.MonkeyPatch, host: str, reason: str):
    patch_name_resolution(monkeypatch)
    assert check_login(host, RIGHT) == unverified(reason)
