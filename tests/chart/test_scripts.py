"""The scripts that Airflow's pods run, as far as they can be seen without a cluster."""

from __future__ import annotations

import importlib.util
import sys
from importlib.metadata import PackageNotFoundError
from types import ModuleType

import pytest
from cryptography.fernet import Fernet

from chart.rendering import CHART


def script(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A script as a module; beside it lie those that it imports."""
    folder = CHART / "files" / "scripts"
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_secrets_are_random(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_HOST", "airflow-postgresql.airflow.svc")
    monkeypatch.setenv("BROKER_HOST", "airflow-redis.airflow.svc")
    makers = script("create_secrets", monkeypatch).MAKERS
    first, second = ({what: make() for what, make in makers.items()} for _ in range(2))
    same = {(what, key) for what, data in first.items() for key, value in data.items() if second[what][key] == value}
    assert same == {("admin", "username")}


def test_the_fernet_key_encrypts(monkeypatch: pytest.MonkeyPatch) -> None:
    key = script("create_secrets", monkeypatch).fernet_key()["fernet-key"]
    assert Fernet(key).decrypt(Fernet(key).encrypt(b"text")) == b"text"


def test_the_connection_carries_the_database_s_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_HOST", "airflow-postgresql.airflow.svc")
    made = script("create_secrets", monkeypatch).database()
    assert made["connection"] == (
        f"postgresql+psycopg2://airflow:{made['password']}@airflow-postgresql.airflow.svc:5432/airflow"
    )
    assert made["password"].isalnum() and len(made["password"]) == 32


def test_the_broker_s_url_carries_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROKER_HOST", "airflow-redis.airflow.svc")
    made = script("create_secrets", monkeypatch).broker()
    assert made["connection"] == f"redis://:{made['password']}@airflow-redis.airflow.svc:6379/0"


def test_a_broker_that_is_away_is_not_the_worker_s_fault(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AIRFLOW__CELERY__BROKER_URL", "redis://:secret@127.0.0.1:1/0")
    script("worker_probe", monkeypatch).main()
    assert capsys.readouterr().out == (
        "the broker cannot be reached, which says nothing about this worker: OperationalError\n"
    )


@pytest.mark.parametrize(
    ("wanted", "installed", "sentence"),
    [
        ("", None, ""),
        ("0.1.0", "0.1.0", ""),
        ("0.1.0", None, "the image has no package kpo-platform, but"),
        (
            "0.2.0",
            "0.1.0",
            "the image has kpo-platform 0.1.0, but platform.package is image and the chart works with 0.2.0;",
        ),
    ],
)
def test_an_image_without_the_package_is_refused_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, wanted: str, installed: str | None, sentence: str
) -> None:
    def version(_: str) -> str:
        if installed is None:
            raise PackageNotFoundError
        return installed

    waiting = script("wait_for_migrations", monkeypatch)
    monkeypatch.setattr(waiting, "version", version)
    monkeypatch.setenv("EXPECTED_PACKAGE", wanted)
    if sentence:
        with pytest.raises(SystemExit, match=sentence):
            waiting.refuse_other_package()
    else:
        waiting.refuse_other_package()


def test_a_made_secret_is_not_helm_s(monkeypatch: pytest.MonkeyPatch) -> None:
    made = script("create_secrets", monkeypatch).manifest("airflow-admin", {"username": "admin"})
    assert made == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "airflow-admin", "labels": {"app.kubernetes.io/part-of": "kpo-platform"}},
        "type": "Opaque",
        "stringData": {"username": "admin"},
    }


def test_a_database_that_stays_away_ends_the_wait_with_what_was_seen(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "postgresql+psycopg2://a:secret@127.0.0.1:1/airflow")
    database = script("database", monkeypatch)
    with pytest.raises(SystemExit) as ended:
        database.wait_until(lambda _: "", 0)
    assert "the database was not ready within 0 s; last seen: connection to server at" in str(ended.value)
    assert "secret" not in str(ended.value) + capsys.readouterr().out
