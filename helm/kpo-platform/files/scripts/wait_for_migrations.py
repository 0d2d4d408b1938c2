"""Wait until Airflow's database is reachable and migrated.

Waits without Airflow first, because the start of Airflow takes seconds of CPU that the migration needs. Then runs
Airflow's own check, which knows the expected schema.
"""

from __future__ import annotations

import os
import sys
from importlib.metadata import PackageNotFoundError, version

from database import exit_if_database_is_newer, wait_until
from sqlalchemy import Connection, text

TIMEOUT_SECONDS = 600

HAS_REVISION_TABLE = text("SELECT to_regclass('alembic_version') IS NOT NULL")
IS_MIGRATING = text(
    "SELECT count(*) > 0 FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database"
    " WHERE locktype = 'advisory' AND datname = current_database()"
)
"""`airflow db migrate` holds an advisory lock while it runs."""


def find_pending_migration(connection: Connection) -> str:
    """Report an empty database or a running migration, during which Airflow's own check would waste CPU."""
    exit_if_database_is_newer(connection)
    if not connection.execute(HAS_REVISION_TABLE).scalar_one():
        return "the database is empty; the migration Job has not started or has failed (see platformctl doctor)"
    if connection.execute(IS_MIGRATING).scalar_one():
        return "the migration Job is running"
    return ""


def check_package_version() -> None:
    """Check that the image contains the package in the version of EXPECTED_PACKAGE, if that is set.

    Raises:
        SystemExit: the image contains no package, or another version.
    """
    expected = os.environ.get("EXPECTED_PACKAGE")
    try:
        installed = f"kpo-platform {version('kpo-platform')}" if expected else ""
    except PackageNotFoundError:
        installed = "no package kpo-platform"
    if expected and installed != f"kpo-platform {expected}":
        sys.exit(
            f"The image contains {installed}: platform.package is image and the chart requires {expected}. Install it "
            "in the image (docs/images.md), or set platform.package to configmap."
        )


def main() -> None:
    """Wait, then replace this process with Airflow's check."""
    check_package_version()
    wait_until(find_pending_migration, TIMEOUT_SECONDS)
    command = ["airflow", "db", "check-migrations", f"--migration-wait-timeout={TIMEOUT_SECONDS}"]
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
