"""Whether a registry takes a sign-in, asked of one that speaks TLS: taken, refused, or not to be known."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kpo_platform.bootstrap.model import RegistryLogin
from kpo_platform.bootstrap.registry import login_check
from kpo_platform.bootstrap.registry.login_check import LoginResult, LoginStatus, check_login
from unit.support.registry_server import BASIC, NAME, PASSWORD, USER, Registry, listening, resolve

RIGHT, WRONG = RegistryLogin(USER, PASSWORD), RegistryLogin(USER, "wrong")
ACCEPTED = LoginResult(LoginStatus.ACCEPTED, "checked from this machine")
REJECTED = LoginResult(LoginStatus.REJECTED, "HTTP 401, checked from this machine")


def unverified(why: str) -> LoginResult:
    return LoginResult(LoginStatus.UNVERIFIED, f"not checked from this machine: {why}", retry_on_node=True)


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    monkeypatch.setattr(login_check, "_CERTIFICATES", (str(tmp_path),))
    resolve(monkeypatch)
    with listening(tmp_path) as found:
        yield found


def test_a_password_is_tried_once_the_registry_asked_for_it(registry: Registry):
    assert check_login(registry.host, RIGHT) == ACCEPTED
    assert registry.seen == [("/v2/", ""), ("/v2/", BASIC)]
    assert check_login(registry.host, WRONG) == REJECTED


def test_a_token_service_gets_the_password_and_the_registry_the_token(registry: Registry):
    registry.form = "bearer"
    assert check_login(registry.host, RIGHT) == ACCEPTED
    query = "account=robot&client_id=platformctl&service=registry%2C+of+tests"
    assert registry.seen == [("/v2/", ""), (f"/token?{query}", BASIC), ("/v2/", "Bearer of-the-service")]
    assert check_login(registry.host, WRONG) == REJECTED


@pytest.mark.parametrize(
    ("form", "why"),
    [
        ("down", "it answered HTTP 503"),
        ("elsewhere", "it answered HTTP 302"),
        ("odd", "it requires the authentication scheme negotiate"),
        ("plain-token", "its token service does not use TLS"),
    ],
)
def test_what_cannot_be_known_is_unverified_and_no_password_is_sent(registry: Registry, form: str, why: str):
    registry.form = form
    assert check_login(registry.host, RIGHT) == unverified(why)
    assert registry.seen == [("/v2/", "")]


def test_a_registry_that_asks_nobody_tells_nothing_of_a_sign_in_here_or_elsewhere(registry: Registry):
    registry.form = "open"
    assert check_login(registry.host, RIGHT) == LoginResult(LoginStatus.UNVERIFIED, "it requires no login")
    assert registry.seen == [("/v2/", "")]


def test_without_trust_no_password_is_sent(registry: Registry, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(login_check, "_CERTIFICATES", ())
    assert check_login(registry.host, RIGHT) == unverified("its certificate is not trusted (self-signed certificate)")
    assert registry.seen == []


def test_without_tls_no_password_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    resolve(monkeypatch)
    with listening(tmp_path, tls=False) as plain:
        assert check_login(plain.host, RIGHT) == unverified("it does not use TLS, so no password is sent")
    assert plain.seen == []


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("elsewhere.test", "its name cannot be resolved"),
        ("localhost:5000", "a loopback address is another host on every machine"),
        ("127.0.0.1:5000", "a loopback address is another host on every machine"),
        ("[::1]:5000", "a loopback address is another host on every machine"),
        (f"{NAME}:1", "Connection refused"),
    ],
)
def test_a_registry_that_is_not_reached_is_unverified(monkeypatch: pytest.MonkeyPatch, host: str, why: str):
    resolve(monkeypatch)
    assert check_login(host, RIGHT) == unverified(why)
