"""The Python programs that run in pods."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError

import pytest
from cryptography.fernet import Fernet

from chart.pod_scripts import load_script


def test_generated_secrets_are_random(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_HOST", "airflow-postgresql.airflow.svc")
    monkeypatch.setenv("BROKER_HOST", "airflow-redis.airflow.svc")
    generators = load_script("create_secrets", monkeypatch).GENERATORS
    first, second = ({name: generate() for name, generate in generators.items()} for _ in range(2))
    same = {(name, key) for name, data in first.items() for key, value in data.items() if second[name][key] == value}
    assert same == {("admin", "username")}


def test_generated_fernet_key_encrypts(monkeypatch: pytest.MonkeyPatch) -> None:
    key = load_script("create_secrets", monkeypatch).generate_fernet_key()["fernet-key"]
    assert Fernet(key).decrypt(Fernet(key).encrypt(b"text")) == b"text"


def test_database_url_contains_the_generated_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_HOST", "airflow-postgresql.airflow.svc")
    secret = load_script("create_secrets", monkeypatch).generate_database()
    assert secret["connection"] == (
        f"postgresql+psycopg2://airflow:{secret['password']}@airflow-postgresql.airflow.svc:5432/airflow"
    )
    assert secret["password"].isalnum() and len(secret["password"]) == 32


def test_broker_url_contains_the_generated_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROKER_HOST", "airflow-redis.airflow.svc")
    secret = load_script("create_secrets", monkeypatch).generate_broker()
    assert secret["connection"] == f"redis://:{secret['password']}@airflow-redis.airflow.svc:6379/0"


def test_worker_probe_succeeds_without_a_broker(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AIRFLOW__CELERY__BROKER_URL", "redis://:secret@127.0.0.1:1/0")
    load_script("worker_probe", monkeypatch).main()
    assert capsys.readouterr().out == (
        "The broker is unreachable, so the state of this worker is unknown: OperationalError\n"
    )


@pytest.mark.parametrize(
    ("expected", "installed", "message"),
    [
        ("", None, ""),
        ("0.1.0", "0.1.0", ""),
        ("0.1.0", None, "The image contains no package kpo-platform: platform.package is image"),
        (
            "0.2.0",
            "0.1.0",
            "The image contains kpo-platform 0.1.0: platform.package is image and the chart requires 0.2.0. Install it",
        ),
    ],
)
def test_image_without_the_package_version_is_refused(
    monkeypatch: pytest.MonkeyPatch, expected: str, installed: str | None, message: str
) -> None:
    def version(_: str) -> str:
        if installed is None:
            raise PackageNotFoundError
        return installed

    wait = load_script("wait_for_migrations", monkeypatch)
    monkeypatch.setattr(wait, "version", version)
    monkeypatch.setenv("EXPECTED_PACKAGE", expected)
    if message:
        with pytest.raises(SystemExit, match=message):
            wait.check_package_version()
    else:
        wait.check_package_version()


def test_generated_secret_has_no_helm_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = load_script("create_secrets", monkeypatch).build_manifest("airflow-admin", {"username": "admin"})
    assert manifest == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "airflow-admin", "labels": {"app.kubernetes.io/part-of": "kpo-platform"}},
        "type": "Opaque",
        "stringData": {"username": "admin"},
    }


def test_wait_for_an_unreachable_database_ends_with_its_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "postgresql+psycopg2://a:secret@127.0.0.1:1/airflow")
    database = load_script("database", monkeypatch)
    with pytest.raises(SystemExit) as failure:
        database.wait_until(lambda _: "", 0)
    assert "Waiting for the database timed out after 0 s: connection to server at" in str(failure.value)
    assert "secret" not in str(failure.value) + capsys.readouterr().out
