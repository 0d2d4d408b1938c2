"""One run at a time: a lock that goes away with the process that holds it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from common.waiting import NotYet, wait_for


@contextmanager
def only_one_run(lock: Path, what: str, say: Callable[[str], None], deadline_s: float = 1800) -> Iterator[None]:
    """Hold a lock file while the block runs; wait for another run that holds it, and say so.

    The kernel gives the lock back when its process ends in whatever way, so it can never be stale.
    Programs started inside the block do not inherit it.

    Args:
        lock: the lock file; made when missing, never removed (removing it would let two runs in).
        what: what the other run is doing, like "changing the cluster".
        say: told once when there is another run to wait for.
        deadline_s: seconds to wait for the other run.

    Raises:
        ScriptError: the other run did not end in time; names its process.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a+") as stream:
        said: list[str] = []

        def probe() -> None:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                stream.seek(0)
                holder = f"process {stream.read().strip() or 'unknown'} is {what}"
                if not said:
                    said.append(holder)
                    say(f"Waiting: {holder}.")
                raise NotYet(holder) from None

        wait_for("another run to end", probe, deadline_s, interval_s=0.2)
        stream.truncate(0)
        stream.write(str(os.getpid()))
        stream.flush()
        yield
