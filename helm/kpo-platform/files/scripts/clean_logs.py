"""Delete old task logs once an hour; runs as a sidecar of every pod with a log volume.

Environment:
    RETENTION_DAYS: retention of a log, in days after its last write.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

LOGS = Path("/opt/airflow/logs")
INTERVAL_SECONDS = 3600
DAY_SECONDS = 86400


def clean_logs(folder: Path, now: float, retention_days: int) -> int:
    """Delete files past their retention, and folders that have been empty for a day.

    A newer empty folder stays: a task may be about to write into it.

    Args:
        folder: the log folder.
        now: the current time, in seconds since 1970.
        retention_days: retention of a file, in days after its last write.

    Returns:
        The number of deleted files.
    """
    deleted = 0
    for root, _, files in os.walk(folder, topdown=False):
        for file in (Path(root, name) for name in files):
            with suppress(FileNotFoundError):  # deleted by the sidecar of another pod on the same volume
                if file.lstat().st_mtime < now - retention_days * DAY_SECONDS:
                    file.unlink()
                    deleted += 1
        with suppress(OSError):  # not empty, or already deleted
            if Path(root) != folder and Path(root).stat().st_mtime < now - DAY_SECONDS:
                Path(root).rmdir()
    return deleted


def main() -> None:
    """Clean the logs every hour."""
    days = int(os.environ["RETENTION_DAYS"])
    while True:
        deleted = clean_logs(LOGS, time.time(), days)
        print(f"Deleted {deleted} log files that were last written more than {days} days ago.", flush=True)
        time.sleep(INTERVAL_SECONDS)


if __name__ == "__main__":
    main()
