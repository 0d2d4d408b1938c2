"""Waiting with a deadline, and an error that says what was last seen."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from common.errors import ScriptError

T = TypeVar("T")


class NotYet(Exception):  # noqa: N818 -- an answer, not an error
    """Raised by a probe while what it looks for is not there; its text is what the probe saw instead."""


def wait_for(
    what: str,
    probe: Callable[[], T],
    deadline_s: float,
    interval_s: float = 0.5,
    say: Callable[[str], None] | None = None,
) -> T:
    """Call a probe until it returns, and give what it returned.

    Args:
        what: what is waited for, as it follows "Waited 60 s for", like "the node to be Ready".
        probe: returns the awaited value or raises `NotYet`; any other exception ends the wait at once.
        deadline_s: seconds after which the wait is given up. The probe is called once more at the end.
        interval_s: seconds between two calls.
        say: told what was last seen, after every call that found nothing yet.

    Raises:
        ScriptError: the deadline passed; names what was waited for and what was last seen.
    """
    end = time.monotonic() + deadline_s
    while True:
        try:
            return probe()
        except NotYet as seen:
            last_seen = str(seen)
        if say:
            say(last_seen)
        remaining = end - time.monotonic()
        if remaining <= 0:
            raise ScriptError(f"Waited {deadline_s:g} s for {what}; last seen: {last_seen}")
        time.sleep(min(interval_s, remaining))
