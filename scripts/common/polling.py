"""Polling with a deadline; the error reports the last observed state."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from common.errors import ScriptError

T = TypeVar("T")


class NotYet(Exception):  # noqa: N818 -- a state, not an error
    """The condition of a probe is not met; the text is the observed state."""


def wait_for(
    condition: str,
    probe: Callable[[], T],
    deadline_s: float,
    interval_s: float = 0.5,
    progress: Callable[[str], None] | None = None,
) -> T:
    """Call a probe until it returns, and return its result.

    Args:
        condition: the awaited condition, worded to follow "Waited 60 s for", like "the node to be Ready".
        probe: returns the result or raises `NotYet`; any other exception ends the wait immediately.
        deadline_s: seconds after which the wait fails. The probe is called once more at the end.
        interval_s: seconds between two calls.
        progress: called with the text of each `NotYet`.

    Raises:
        ScriptError: the deadline passed; names the condition and the last observed state.
    """
    end = time.monotonic() + deadline_s
    while True:
        try:
            return probe()
        except NotYet as state:
            last_seen = str(state)
        if progress:
            progress(last_seen)
        remaining = end - time.monotonic()
        if remaining <= 0:
            raise ScriptError(f"Waited {deadline_s:g} s for {condition}; last seen: {last_seen}")
        time.sleep(min(interval_s, remaining))
