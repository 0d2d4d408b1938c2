"""Delete old entries from Airflow's database with ``airflow db clean``.

Environment:
    RETENTION_DAYS: retention of entries, in days.
    SKIP_ARCHIVE: `true` deletes without archiving; otherwise Airflow keeps deleted entries in archive tables.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta


def build_command(now: datetime, days: int, skip_archive: bool) -> list[str]:
    """Return the command that keeps the given number of days and fails if a table cannot be cleaned."""
    before = (now - timedelta(days=days)).isoformat(timespec="seconds")
    command = ["airflow", "db", "clean", "--clean-before-timestamp", before, "--yes", "--error-on-cleanup-failure"]
    return [*command, *(["--skip-archive"] if skip_archive else [])]


def main() -> None:
    """Replace this process with Airflow's command."""
    skip_archive = os.environ["SKIP_ARCHIVE"] == "true"
    command = build_command(datetime.now(UTC), int(os.environ["RETENTION_DAYS"]), skip_archive)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
