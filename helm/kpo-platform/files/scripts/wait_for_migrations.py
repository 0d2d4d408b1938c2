"""Wait until the database is there and migrated, then end.

First without Airflow, whose start costs seconds of CPU that the migration itself could use; then with Airflow, which
alone knows what its database should look like.
"""

from __future__ import annotations

import os
import sys
from importlib.metadata import PackageNotFoundError, version

from database import refuse_newer, wait_until
from sqlalchemy import Connection, text

DEADLINE_SECONDS = 600

MIGRATED_BEFORE = text("SELECT to_regclass('alembic_version') IS NOT NULL")
MIGRATING = text(
    "SELECT count(*) > 0 FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database"
    " WHERE locktype = 'advisory' AND datname = current_database()"
)
"""`airflow db migrate` holds an advisory lock while it works."""


def migrations_at_rest(connection: Connection) -> str:
    """What keeps Airflow's own check from being worth its cost."""
    refuse_newer(connection)
    if not connection.execute(MIGRATED_BEFORE).scalar_one():
        return "the database is empty; the migration job has not begun, or it failed (platformctl doctor says why)"
    if connection.execute(MIGRATING).scalar_one():
        return "the migration job is at work"
    return ""


def refuse_other_package() -> None:
    """End the program if the package is to be in the image, in the version that EXPECTED_PACKAGE says, and is not.

    Raises:
        SystemExit: it is not there, or is another one.
    """
    wanted = os.environ.get("EXPECTED_PACKAGE")
    try:
        found = f"kpo-platform {version('kpo-platform')}" if wanted else ""
    except PackageNotFoundError:
        found = "no package kpo-platform"
    if wanted and found != f"kpo-platform {wanted}":
        sys.exit(
            f"the image has {found}, but platform.package is image and the chart works with {wanted}; build it into "
            "the image (docs/images.md), or set platform.package to configmap"
        )


def main() -> None:
    """Wait, then become Airflow's own check."""
    refuse_other_package()
    wait_until(migrations_at_rest, DEADLINE_SECONDS)
    check = ["airflow", "db", "check-migrations", f"--migration-wait-timeout={DEADLINE_SECONDS}"]
    os.execvp(check[0], check)


if __name__ == "__main__":
    main()
