"""How long requests have failed: without an answer, which is waited out, or with a refusal, which is told."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from kpo_platform.airflow.api_errors import describe_error, is_transient

log = logging.getLogger(__name__)

_TOLD_AFTER_S = 10.0
"""The shortest outage that thousands of tasks write into their logs: the restart of an API server is none."""


class Outage:
    """The time in which the pods of a namespace cannot be read; it begins with the informer.

    Args:
        namespace: the namespace.
        wake: called when an outage that has lasted a while, or its end, is to be told to those who wait.

    Attributes:
        is_reported: whether an outage lasts of which those who wait know.
    """

    def __init__(self, namespace: str, wake: Callable[[], None]) -> None:
        self._namespace, self._wake = namespace, wake
        self._since: float | None = time.monotonic()
        self._former_s = 0.0
        self._error: Exception = ConnectionError()
        self._timer: asyncio.TimerHandle | None = None
        self.is_reported = False

    @property
    def lasts(self) -> bool:
        """Whether the pods cannot be read, or have not been read."""
        return self._since is not None

    @property
    def since_s(self) -> float:
        """For how many seconds it has lasted; 0 if there is none."""
        return 0.0 if self._since is None else time.monotonic() - self._since

    @property
    def total_s(self) -> float:
        """The seconds of all outages."""
        return self._former_s + self.since_s

    def begin(self, error: Exception) -> None:
        """Take note of a failed request."""
        self._since = self._since or time.monotonic()
        self._error = error
        if self._timer is None and not self.is_reported:
            self._timer = asyncio.get_running_loop().call_later(_TOLD_AFTER_S - self.since_s, self._tell)

    def end(self) -> None:
        """Take note that the pods are read again."""
        lasted_s, self._former_s, self._since = self.since_s, self.total_s, None
        self.close()
        if self.is_reported:
            self.is_reported = False
            log.info("Reading the pods of namespace %s again after %.0f seconds.", self._namespace, lasted_s)
            self._wake()

    def close(self) -> None:
        """Tell nothing any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tell(self) -> None:
        self._timer, self.is_reported = None, True
        why = describe_error(self._error).rstrip(".")
        log.warning("Cannot read the pods of namespace %s: %s. Deferred tasks wait.", self._namespace, why)
        self._wake()


class Refusals:
    """Tells when a request has been refused for so long that the refusal is to be believed.

    An API server that has just started refuses what it will allow.
    """

    def __init__(self, longest_s: float) -> None:
        self._longest_s, self._since = longest_s, 0.0

    def clear(self) -> None:
        """Take note of a request that succeeded."""
        self._since = 0.0

    def have_lasted(self, error: Exception) -> bool:
        """Take note of a failed request; tell whether all have been refused for that long.

        What failed without a refusal begins the time again: an API server that starts after an outage may refuse too.
        """
        if is_transient(error):
            self.clear()
            return False
        self._since = self._since or time.monotonic()
        return time.monotonic() - self._since >= self._longest_s
