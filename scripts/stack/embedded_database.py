"""Queries in the embedded database."""

from __future__ import annotations

from stack.release import NAMESPACE, RELEASE, Stack

_PSQL = 'PGHOST=127.0.0.1 PGUSER=airflow PGPASSWORD=$(cat /opt/kpo-platform/password/password) psql -AtqX "$@"'


def query_database(stack: Stack, sql: str, database: str = "airflow") -> str:
    """Run SQL in the embedded database and return its output, a line per row."""
    words = ("sh", "-c", _PSQL, "sh", "--set=ON_ERROR_STOP=1", f"--command={sql}", database)
    return stack.kubectl("exec", "-n", NAMESPACE, f"{RELEASE}-postgresql-0", "--", *words).strip()
