"""Bring the database up to date and make the first user, unless there is one.

Both can be done again at any time. The user's name and password come from mounted files: Airflow's own command takes
the password as an argument, where the list of processes shows it.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from database import wait_until

DATABASE_SECONDS = 600
ADMIN = Path("/opt/kpo-platform/admin")


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


def main() -> None:
    """Wait for the database, migrate it, make the user."""
    wait_until(lambda _: "", DATABASE_SECONDS)
    subprocess.run(["airflow", "db", "migrate"], check=True)
    make_admin((ADMIN / "username").read_text().strip(), (ADMIN / "password").read_text().strip())


if __name__ == "__main__":
    main()
