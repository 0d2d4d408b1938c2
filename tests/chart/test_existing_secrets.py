"""The secrets Job reports missing and malformed existing Secrets."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
from cryptography.fernet import Fernet

from chart.pod_scripts import load_script

KEY = Fernet.generate_key().decode()
NO_FERNET_KEY = (
    "Secret airflow/my-secret: key `fernet-key` is not a Fernet key. Set 32 random bytes in URL-safe base64; "
    "for a rotation two, separated by a comma."
)
NOT_URL_ENCODED = (
    "Secret airflow/my-secret: key `password` has characters that are reserved in URLs. "
    "URL-encode them: `@` as `%40`, `/` as `%2F`."
)

SSLMODE = (
    "Secret airflow/my-secret: key `connection` has `sslmode`, which one of Airflow's two drivers refuses. Remove it, "
    "or use data.metadataConnection."
)


@pytest.fixture
def checker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    module = load_script("existing_secrets", monkeypatch)
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    return module


def check_secret(checker: ModuleType, purpose: str, **keys: str) -> list[str]:
    """Check one Secret with these keys and return the problems; an underscore in a key stands for a dash."""
    (checker.FOLDER / purpose).mkdir()
    for key, value in keys.items():
        (checker.FOLDER / purpose / key.replace("_", "-")).write_text(value)
    return list(checker.find_problems({purpose: "my-secret"}, "airflow"))


@pytest.mark.parametrize("value", [KEY, f"{KEY},{KEY}"], ids=["one", "two"])
def test_one_or_two_fernet_keys_are_valid(checker: ModuleType, value: str) -> None:
    assert check_secret(checker, "fernet-key", fernet_key=value) == []


@pytest.mark.parametrize(
    "value",
    ["", "short", f"{KEY}\n", f"{KEY},", KEY[:-4]],
    ids=["empty", "short", "line break", "comma at the end", "cut off"],
)
def test_invalid_fernet_key_is_reported_without_its_value(checker: ModuleType, value: str) -> None:
    assert check_secret(checker, "fernet-key", fernet_key=value) == [NO_FERNET_KEY]


def test_missing_secret_is_reported_with_its_keys(checker: ModuleType) -> None:
    assert check_secret(checker, "admin") == [
        "Secret airflow/my-secret is missing or empty. Create it with the keys `username` and `password`."
    ]


def test_files_of_the_kubelet_are_ignored(checker: ModuleType) -> None:
    (checker.FOLDER / "admin" / "..2026_04_01").mkdir(parents=True)
    (checker.FOLDER / "admin" / "..data").symlink_to("..2026_04_01")
    assert len(list(checker.find_problems({"admin": "my-secret"}, "airflow"))) == 1


def test_check_repeats_until_all_secrets_are_valid(
    checker: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = iter([["one is missing"], ["one is missing"], ["it is empty"], []])
    monkeypatch.setattr(checker, "find_problems", lambda *_: next(answers))
    monkeypatch.setattr(checker, "POLL_SECONDS", 0)
    checker.wait_until_valid({"admin": "my-secret"}, "airflow", 60)
    assert capsys.readouterr().out == "one is missing\nit is empty\n"


def test_check_fails_with_the_last_problems(checker: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checker, "find_problems", lambda *_: ["it is empty"])
    with pytest.raises(SystemExit, match=r"^it is empty$"):
        checker.wait_until_valid({"admin": "my-secret"}, "airflow", 0)


def test_missing_key_is_reported(checker: ModuleType) -> None:
    assert check_secret(checker, "admin", username="ada") == [
        "Secret airflow/my-secret has no key `password`. Add the key."
    ]


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("", "is empty. Set a value"),
        (" ", "is empty. Set a value"),
        ("p\n", "begins or ends with a space or a line break. Remove it"),
        ("p", ""),
    ],
)
def test_empty_value_or_line_break_is_reported(checker: ModuleType, value: str, problem: str) -> None:
    expected = [f"Secret airflow/my-secret: key `jwt-secret` {problem}."] if problem else []
    assert check_secret(checker, "jwt-secret", jwt_secret=value) == expected


@pytest.mark.parametrize(("value", "expected"), [("p@ss", [NOT_URL_ENCODED]), ("p%40ss", [])])
def test_password_with_url_characters_is_reported(checker: ModuleType, value: str, expected: list[str]) -> None:
    assert check_secret(checker, "database-password", password=value) == expected


def test_invalid_certificate_is_reported(checker: ModuleType) -> None:
    assert check_secret(checker, "database-ca", **{"ca.crt": "a file name"}) == [
        "Secret airflow/my-secret: key `ca.crt` is not a certificate. "
        "Set one in PEM format (-----BEGIN CERTIFICATE-----)."
    ]


def test_certificate_with_a_line_break_at_its_end_is_valid(checker: ModuleType) -> None:
    pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    assert check_secret(checker, "database-ca", **{"ca.crt": pem}) == []


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("postgresql+psycopg2://a:b@db/airflow?connect_timeout=5", []),
        ("postgresql+psycopg2://a:b@db/airflow?connect_timeout=5&sslmode=require", [SSLMODE]),
        (
            "mysql://a:b@db/airflow",
            [
                "Secret airflow/my-secret: key `connection` is not the URL of a PostgreSQL database. "
                "Set postgresql+psycopg2://…."
            ],
        ),
    ],
)
def test_unusable_database_url_is_reported(checker: ModuleType, value: str, expected: list[str]) -> None:
    assert check_secret(checker, "database", connection=value) == expected


def test_git_and_oidc_values_may_end_in_a_line_break(checker: ModuleType) -> None:
    assert check_secret(checker, "git-https", username="deploy", password="p\n") == []
    assert check_secret(checker, "oidc-client", client_secret="s\n") == []


def test_invalid_git_key_and_empty_known_hosts_are_reported(checker: ModuleType) -> None:
    (checker.FOLDER / "git-ssh").mkdir()
    (checker.FOLDER / "git-ssh" / "ssh-privatekey").write_text("a file name")
    (checker.FOLDER / "git-ssh" / "known_hosts").write_text("\n")
    assert list(checker.find_problems({"git-ssh": "my-secret"}, "airflow")) == [
        "Secret airflow/my-secret: key `ssh-privatekey` is not a private key. Set one in PEM format "
        "(-----BEGIN OPENSSH PRIVATE KEY-----).",
        "Secret airflow/my-secret: key `known_hosts` is empty. Set a value.",
    ]
