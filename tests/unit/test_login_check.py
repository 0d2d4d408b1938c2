"""Whether a registry takes a sign-in, asked of one that speaks TLS: taken, refused, or not to be known."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kpo_platform.bootstrap.model import RegistryLogin
from kpo_platform.bootstrap.registry import login_check
from kpo_platform.bootstrap.registry.login_check import LoginResult, LoginStatus, check_login
from unit.registry_server import BASIC, NAME, PASSWORD, USER, Registry, listening, resolve

RIGHT, WRONG = RegistryLogin(USER, PASSWORD), RegistryLogin(USER, "wrong")
ACCEPTED = LoginResult(LoginStatus.ACCEPTED, "asked from here")
REJECTED = LoginResult(LoginStatus.REJECTED, "HTTP status 401, asked from here")


def unverified(why: str) -> LoginResult:
    return LoginResult(LoginStatus.UNVERIFIED, f"not asked from here: {why}", retry_on_node=True)


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
        ("down", "it answers with HTTP status 503"),
        ("elsewhere", "it answers with HTTP status 302"),
        ("odd", "it wants a sign-in by negotiate"),
        ("plain-token", "its token service speaks no TLS"),
    ],
)
def test_what_cannot_be_known_is_unverified_and_no_password_is_sent(registry: Registry, form: str, why: str):
    registry.form = form
    assert check_login(registry.host, RIGHT) == unverified(why)
    assert registry.seen == [("/v2/", "")]


def test_a_registry_that_asks_nobody_tells_nothing_of_a_sign_in_here_or_elsewhere(registry: Registry):
    registry.form = "open"
    assert check_login(registry.host, RIGHT) == LoginResult(LoginStatus.UNVERIFIED, "it asks nobody to sign in")
    assert registry.seen == [("/v2/", "")]


def test_without_trust_no_password_is_sent(registry: Registry, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(login_check, "_CERTIFICATES", ())
    assert check_login(registry.host, RIGHT) == unverified(
        "its certificate is not trusted here (self-signed certificate)"
    )
    assert registry.seen == []


def test_without_tls_no_password_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    resolve(monkeypatch)
    with listening(tmp_path, tls=False) as plain:
        assert check_login(plain.host, RIGHT) == unverified("it speaks no TLS, without which no password is sent")
    assert plain.seen == []


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("elsewhere.test", "its name is not known here"),
        ("localhost:5000", "it is another machine for whoever asks"),
        ("127.0.0.1:5000", "it is another machine for whoever asks"),
        ("[::1]:5000", "it is another machine for whoever asks"),
        (f"{NAME}:1", "Connection refused"),
    ],
)
def test_a_registry_that_is_not_reached_is_unverified(monkeypatch: pytest.MonkeyPatch, host: str, why: str):
    resolve(monkeypatch)
    assert check_login(host, RIGHT) == unverified(why)
