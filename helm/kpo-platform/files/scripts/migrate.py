"""Bring the database up to date and make the first user, unless there is one; or take its schema back.

All can be done again at any time. The user's name and password come from mounted files: Airflow's own command takes
the password as an argument, where the list of processes shows it.

Environment:
    DOWNGRADE_TO: the version of Airflow whose schema is wanted, before a roll-back to it; empty for the image's own.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from database import refuse_newer, wait_until
from sqlalchemy import Connection, text

DATABASE_SECONDS = 600
LEAVING_SECONDS = 600
ADMIN = Path("/opt/kpo-platform/admin")

OTHERS = text(
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()"
)


def make_admin(username: str, password: str) -> None:
    """Make the user with the role Admin; one that exists keeps its password.

    Raises:
        SystemExit: Airflow refused the user.
    """
    from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder

    with get_application_builder() as builder:
        manager = builder.sm
        if manager.find_user(username):
            print(f"user {username}: is already there")
            return
        user = manager.add_user(
            username, "Platform", "Admin", f"{username}@localhost", manager.find_role("Admin"), password
        )
        if not user:
            raise SystemExit(f"user {username} could not be made; Airflow's log above says why")
        print(f"user {username}: made")


def known(connection: Connection) -> str:
    """Nothing is missing once the database answers and is not ahead of this image."""
    refuse_newer(connection)
    return ""


def deserted(connection: Connection) -> str:
    """What keeps the schema from being taken back: whoever still works with it."""
    others = connection.execute(OTHERS).scalar_one()
    return f"{others} connections of Airflow to the database are still open" if others else ""


def main() -> None:
    """Wait for the database, then migrate it and make the user, or take its schema back."""
    wait_until(known, DATABASE_SECONDS)
    if earlier := os.environ["DOWNGRADE_TO"]:
        wait_until(deserted, LEAVING_SECONDS)
        subprocess.run(["airflow", "db", "downgrade", "--to-version", earlier, "--yes"], check=True)
        return
    subprocess.run(["airflow", "db", "migrate"], check=True)
    make_admin((ADMIN / "username").read_text().strip(), (ADMIN / "password").read_text().strip())


if __name__ == "__main__":
    main()
