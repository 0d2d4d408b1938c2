"""What the secrets Job says about secrets that others brought: a sentence for each that Airflow could not use."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
from cryptography.fernet import Fernet

from chart.test_scripts import script

KEY = Fernet.generate_key().decode()
NO_FERNET_KEY = (
    "secret airflow/mine: its key `fernet-key` is no Fernet key: 32 random bytes in URL-safe base64 (during a rotation "
    "two, with a comma between)"
)
IN_A_URL = (
    "secret airflow/mine: its key `password` has characters that a URL reads otherwise; write it as in one: `@` is "
    "`%40`, `/` is `%2F`"
)

SSLMODE = (
    "secret airflow/mine: its key `connection` has `sslmode`, which one of Airflow's two drivers refuses; leave it "
    "out, or use data.metadataConnection"
)


@pytest.fixture
def job(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    found = script("existing_secrets", monkeypatch)
    monkeypatch.setattr(found, "FOLDER", tmp_path)
    return found


def said(job: ModuleType, what: str, **keys: str) -> list[str]:
    """What is said of one secret with these keys, a dash in a key written as an underscore."""
    (job.FOLDER / what).mkdir()
    for key, value in keys.items():
        (job.FOLDER / what / key.replace("_", "-")).write_text(value)
    return list(job.complaints({what: "mine"}, "airflow"))


@pytest.mark.parametrize("given", [KEY, f"{KEY},{KEY}"], ids=["one", "two"])
def test_one_fernet_key_or_two_are_taken(job: ModuleType, given: str) -> None:
    assert said(job, "fernet-key", fernet_key=given) == []


@pytest.mark.parametrize(
    "given",
    ["", "short", f"{KEY}\n", f"{KEY},", KEY[:-4]],
    ids=["empty", "short", "line break", "comma at the end", "cut off"],
)
def test_what_is_no_fernet_key_is_told_without_its_value(job: ModuleType, given: str) -> None:
    assert said(job, "fernet-key", fernet_key=given) == [NO_FERNET_KEY]


def test_a_secret_that_is_not_there_is_told_with_the_keys_that_it_needs(job: ModuleType) -> None:
    assert said(job, "admin") == [
        "secret airflow/mine is not there, or is empty; make it with the key `username` and `password`"
    ]


def test_what_the_kubelet_puts_beside_the_keys_is_none(job: ModuleType) -> None:
    (job.FOLDER / "admin" / "..2026_04_01").mkdir(parents=True)
    (job.FOLDER / "admin" / "..data").symlink_to("..2026_04_01")
    assert len(list(job.complaints({"admin": "mine"}, "airflow"))) == 1


def test_it_is_looked_at_until_it_is_right(
    job: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = iter([["one is missing"], ["one is missing"], ["it is empty"], []])
    monkeypatch.setattr(job, "complaints", lambda *_: next(answers))
    monkeypatch.setattr(job, "PAUSE_SECONDS", 0)
    job.wait_until_right({"admin": "mine"}, "airflow", 60)
    assert capsys.readouterr().out == "one is missing\nit is empty\n"


def test_the_job_fails_with_what_was_wrong_to_the_last(job: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "complaints", lambda *_: ["it is empty"])
    with pytest.raises(SystemExit, match=r"^it is empty$"):
        job.wait_until_right({"admin": "mine"}, "airflow", 0)


def test_a_missing_key_is_told(job: ModuleType) -> None:
    assert said(job, "admin", username="ada") == ["secret airflow/mine has no key `password`; add it"]


@pytest.mark.parametrize(
    ("given", "wrong"),
    [("", "is empty"), (" ", "is empty"), ("p\n", "begins or ends with a blank or a line break"), ("p", "")],
)
def test_an_empty_value_and_a_line_break_at_its_end_are_told(job: ModuleType, given: str, wrong: str) -> None:
    expected = [f"secret airflow/mine: its key `jwt-secret` {wrong}"] if wrong else []
    assert said(job, "jwt-secret", jwt_secret=given) == expected


@pytest.mark.parametrize(("given", "expected"), [("p@ss", [IN_A_URL]), ("p%40ss", [])])
def test_a_password_that_would_break_the_url_is_told(job: ModuleType, given: str, expected: list[str]) -> None:
    assert said(job, "database-password", password=given) == expected


def test_what_is_no_certificate_is_told(job: ModuleType) -> None:
    assert said(job, "database-ca", **{"ca.crt": "a file name"}) == [
        "secret airflow/mine: its key `ca.crt` is no certificate in PEM (-----BEGIN CERTIFICATE-----)"
    ]


def test_a_certificate_is_taken_with_the_line_break_at_its_end(job: ModuleType) -> None:
    pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    assert said(job, "database-ca", **{"ca.crt": pem}) == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("postgresql+psycopg2://a:b@db/airflow?connect_timeout=5", []),
        ("postgresql+psycopg2://a:b@db/airflow?connect_timeout=5&sslmode=require", [SSLMODE]),
        (
            "mysql://a:b@db/airflow",
            ["secret airflow/mine: its key `connection` is no URL of a PostgreSQL database (postgresql+psycopg2://…)"],
        ),
    ],
)
def test_a_database_s_url_that_airflow_could_not_use_is_told(job: ModuleType, given: str, expected: list[str]) -> None:
    assert said(job, "database", connection=given) == expected


def test_what_git_sync_and_sign_in_read_may_end_in_a_line_break(job: ModuleType) -> None:
    assert said(job, "git-https", username="deploy", password="p\n") == []
    assert said(job, "oidc-client", client_secret="s\n") == []


def test_a_git_key_and_its_hosts_are_looked_at(job: ModuleType) -> None:
    (job.FOLDER / "git-ssh").mkdir()
    (job.FOLDER / "git-ssh" / "ssh-privatekey").write_text("a file name")
    (job.FOLDER / "git-ssh" / "known_hosts").write_text("\n")
    assert list(job.complaints({"git-ssh": "mine"}, "airflow")) == [
        "secret airflow/mine: its key `ssh-privatekey` is no private key (-----BEGIN OPENSSH PRIVATE KEY-----)",
        "secret airflow/mine: its key `known_hosts` is empty",
    ]
