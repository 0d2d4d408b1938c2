"""Migrate Airflow's database and create the first user, or downgrade the database's schema.

Can run again at any time. User name and password come from mounted files, because Airflow's own command takes the
password as an argument, which the process list shows.

Environment:
    DOWNGRADE_TO: Airflow version to downgrade the schema to before a rollback; empty: migrate to the image's version.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from database import exit_if_database_is_newer, wait_until
from sqlalchemy import Connection, text

DATABASE_TIMEOUT_SECONDS = 600
DISCONNECT_TIMEOUT_SECONDS = 600
ADMIN = Path("/opt/kpo-platform/admin")

OTHER_CONNECTIONS = text(
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()"
)


def create_admin(username: str, password: str) -> None:
    """Create a user with the role Admin; an existing user keeps its password.

    Raises:
        SystemExit: Airflow has refused the user.
    """
    from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder

    with get_application_builder() as builder:
        manager = builder.sm
        if manager.find_user(username):
            print(f"User {username}: exists")
            return
        user = manager.add_user(
            username, "Platform", "Admin", f"{username}@localhost", manager.find_role("Admin"), password
        )
        if not user:
            raise SystemExit(f"User {username} cannot be created: Airflow has refused it. See Airflow's log above.")
        print(f"User {username}: created")


def check_schema_version(connection: Connection) -> str:
    """Exit if the schema is newer than this image; otherwise report no obstacle."""
    exit_if_database_is_newer(connection)
    return ""


def find_open_connections(connection: Connection) -> str:
    """Report Airflow's open connections, which must end before a downgrade."""
    count = connection.execute(OTHER_CONNECTIONS).scalar_one()
    return f"{count} connections of Airflow to the database are still open" if count else ""


def main() -> None:
    """Wait for the database, then migrate it and create the user, or downgrade its schema."""
    wait_until(check_schema_version, DATABASE_TIMEOUT_SECONDS)
    if target := os.environ["DOWNGRADE_TO"]:
        wait_until(find_open_connections, DISCONNECT_TIMEOUT_SECONDS)
        subprocess.run(["airflow", "db", "downgrade", "--to-version", target, "--yes"], check=True)
        return
    subprocess.run(["airflow", "db", "migrate"], check=True)
    create_admin((ADMIN / "username").read_text().strip(), (ADMIN / "password").read_text().strip())


if __name__ == "__main__":
    main()
