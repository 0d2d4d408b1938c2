"""Remove what is older than the days to keep from Airflow's database, by Airflow's own command.

Environment:
    RETENTION_DAYS: how many days are kept.
    SKIP_ARCHIVE: `true` removes for good; otherwise Airflow keeps what it removes in tables of their own.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta


def command(now: datetime, days: int, skip_archive: bool) -> list[str]:
    """Give the command that keeps what is younger than so many days; it fails where it could not clean a table."""
    before = (now - timedelta(days=days)).isoformat(timespec="seconds")
    words = ["airflow", "db", "clean", "--clean-before-timestamp", before, "--yes", "--error-on-cleanup-failure"]
    return [*words, *(["--skip-archive"] if skip_archive else [])]


def main() -> None:
    """Become Airflow's command."""
    skip_archive = os.environ["SKIP_ARCHIVE"] == "true"
    words = command(datetime.now(UTC), int(os.environ["RETENTION_DAYS"]), skip_archive)
    os.execvp(words[0], words)


if __name__ == "__main__":
    main()
