"""A file lock between processes; the kernel releases it when its process ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from common.polling import NotYet, wait_for


@contextmanager
def hold_lock(lock: Path, activity: str, progress: Callable[[str], None], deadline_s: float = 1800) -> Iterator[None]:
    """Hold a lock file during the block; wait for another process that holds it.

    The kernel releases the lock when its process ends in any way, so the lock cannot be stale.
    Programs started in the block do not inherit it.

    Args:
        lock: the lock file; created when missing, never removed, because two processes could then hold it.
        activity: what the other process does, like "changing the cluster".
        progress: called once if another process holds the lock.
        deadline_s: seconds to wait for the lock.

    Raises:
        ScriptError: the lock was not released in time; names the process that holds it.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a+") as stream:
        reported: list[str] = []

        def probe() -> None:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                stream.seek(0)
                holder = f"process {stream.read().strip() or 'unknown'} is {activity}"
                if not reported:
                    reported.append(holder)
                    progress(f"Waiting: {holder}.")
                raise NotYet(holder) from None

        wait_for("another run to end", probe, deadline_s, interval_s=0.2)
        stream.truncate(0)
        stream.write(str(os.getpid()))
        stream.flush()
        yield
