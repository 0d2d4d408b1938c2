"""Airflow on an external database with TLS and a copy of its data."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from cluster.support.airflow_runs.dag_run import Run
from cluster.support.airflow_runs.long_runs import read_persistent_state, run_short_dag, wait_for_persistent_state
from cluster.support.docs.commands import read_commands, run_commands
from cluster.support.services import external_database as module
from cluster.support.services.external_database import (
    DATABASE,
    HOST,
    OTHER_NAME,
    USER,
    ExternalDatabase,
    run_external_database,
)
from common.steps import Steps
from stack.airflow_api import AirflowApi
from stack.install import install_release
from stack.release import NAMESPACE, RELEASE, Stack

CONNECT_SCRIPT = """
import asyncio, os, sys
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.ext.asyncio import create_async_engine

variable, host = sys.argv[1:]
url = make_url(os.environ[variable])
url = url.set(host=host) if host else url

async def by_asyncpg():
    async with create_async_engine(url).connect() as connection:
        return (await connection.execute(text("SELECT 1"))).scalar_one()

def by_psycopg():
    with create_engine(url).connect() as connection:
        return connection.execute(text("SELECT 1")).scalar_one()

try:
    print(asyncio.run(by_asyncpg()) if variable.endswith("ASYNC") else by_psycopg())
except Exception as error:
    print(error)
"""
URL = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
OTHER_CA = "PGSSLROOTCERT=/etc/ssl/certs/ca-certificates.crt"


@pytest.fixture(scope="module")
def history(stack: Stack, airflow: AirflowApi) -> Run:
    return run_short_dag(stack, airflow)


@pytest.fixture(scope="module")
def before(stack: Stack, airflow: AirflowApi, history: Run) -> dict[str, Any]:
    """Airflow's persistent state with the embedded database."""
    return read_persistent_state(stack, airflow, history)


@pytest.fixture(scope="module")
def external(
    stack: Stack, before: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ExternalDatabase]:
    """Airflow on an external database with a copy of the embedded one."""
    folder = tmp_path_factory.mktemp("database")
    (back_up,) = read_commands("database.md", "Backup")
    run_commands(stack, back_up, folder)
    with run_external_database(stack) as database:
        restore = f"pg_restore --username={USER} --dbname={DATABASE} --no-owner --exit-on-error < airflow.dump"
        run_commands(stack, f"kubectl exec --stdin -n {module.NAMESPACE} postgres -- {restore}", folder)
        secret_data = {"password": "p%40ss%2Fof-a-test", "ca.crt": database.ca_certificate}
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "external-db"}, "stringData": secret_data}
        stack.kubectl("apply", "-n", NAMESPACE, "-f", "-", stdin=json.dumps(secret))
        (folder / "values.yaml").write_text(yaml.safe_dump(release_values()))
        try:
            install_release(Steps(), stack, folder / "values.yaml")
            yield database
        finally:
            install_release(Steps(), stack)
            stack.kubectl("delete", "secret", "external-db", "-n", NAMESPACE)


def release_values() -> dict[str, object]:
    connection = {"host": HOST, "db": DATABASE, "user": USER, "passwordSecretName": "external-db"}
    tls = {"sslmode": "verify-full", "caSecretName": "external-db"}
    return {"postgresql": {"enabled": False}, "data": {"metadataConnection": {**connection, **tls}}}


def test_airflow_works_with_an_external_database_and_its_history(
    stack: Stack, airflow: AirflowApi, history: Run, before: dict[str, Any], external: ExternalDatabase
):
    assert wait_for_persistent_state(stack, airflow, history) == before
    run = run_short_dag(stack, airflow)
    assert external.query(f"SELECT state FROM dag_run WHERE run_id = '{run.id}'") == "success"
    assert stack.get("pods", "-n", NAMESPACE, "-l", "app.kubernetes.io/component=postgresql")["items"] == []


@pytest.mark.parametrize(
    ("ca_override", "host", "errors"),
    [
        pytest.param("", "", ("1", "1"), id="as-configured"),
        pytest.param(OTHER_CA, "", ("certificate verify failed", "CERTIFICATE_VERIFY_FAILED"), id="other-ca"),
        pytest.param("", OTHER_NAME, ("does not match host name", "Hostname mismatch"), id="other-name"),
    ],
)
def test_both_drivers_verify_the_server_certificate(
    stack: Stack, external: ExternalDatabase, ca_override: str, host: str, errors: tuple[str, str]
):
    for expected, output in zip(errors, connect_drivers(stack, ca_override, host), strict=True):
        assert expected in output


def connect_drivers(stack: Stack, ca_override: str, host: str) -> list[str]:
    """Return the results of both of the scheduler's drivers, optionally with another CA or host name."""
    exec_options = ("exec", "--stdin", "-n", NAMESPACE, f"{RELEASE}-scheduler-0", "-c", "scheduler", "--")
    env = ("env", *filter(None, [ca_override]))
    return [
        stack.kubectl(*exec_options, *env, "python", "-", variable, host, stdin=CONNECT_SCRIPT)
        for variable in (URL, f"{URL}_ASYNC")
    ]
