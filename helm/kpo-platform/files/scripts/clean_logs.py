"""Remove task logs past an age, once an hour: the sidecar of every pod that keeps logs on a volume.

Environment:
    RETENTION_DAYS: how many days after its last line a log is kept.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

LOGS = Path("/opt/airflow/logs")
PAUSE_SECONDS = 3600
DAY_SECONDS = 86400


def groom(folder: Path, now: float, retention_days: int) -> int:
    """Remove the files that nobody has written to for a while, and the folders that have been empty for a day.

    A younger folder stays even when it is empty: somebody may be about to write into it.

    Args:
        folder: where the logs are.
        now: the time, in seconds since 1970.
        retention_days: how long a file is kept after its last change.

    Returns:
        How many files it removed.
    """
    removed = 0
    for root, _, files in os.walk(folder, topdown=False):
        for file in (Path(root, name) for name in files):
            with suppress(FileNotFoundError):  # another pod's sidecar on the same volume was faster
                if file.lstat().st_mtime < now - retention_days * DAY_SECONDS:
                    file.unlink()
                    removed += 1
        with suppress(OSError):  # it is not empty, or gone
            if Path(root) != folder and Path(root).stat().st_mtime < now - DAY_SECONDS:
                Path(root).rmdir()
    return removed


def main() -> None:
    """Groom for ever."""
    days = int(os.environ["RETENTION_DAYS"])
    while True:
        removed = groom(LOGS, time.time(), days)
        print(f"{removed} files had not been written to for {days} days and are gone", flush=True)
        time.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    main()
