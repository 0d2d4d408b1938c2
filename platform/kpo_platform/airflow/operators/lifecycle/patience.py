"""Wait while the API server does not answer, as long as a task may run."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from airflow.sdk.exceptions import AirflowException
from kubernetes.client import ApiException

from kpo_platform.airflow.api_errors import (
    ApiRefusal,
    advise,
    describe_error,
    describe_refusal,
    is_certificate_error,
    is_doubtful,
    is_of_proxy,
    is_transient,
    read_retry_after,
)
from kpo_platform.errors import PlatformError

DEFAULT_TIMEOUT_S = 3600.0

_FIRST_WAIT_S = 1.0
_LONGEST_WAIT_S = 15.0
_LOG_INTERVAL_S = 60.0
STARTUP_S = 60.0
"""How long a restarted API server, or a proxy before it, may refuse what is allowed."""

_Result = TypeVar("_Result")


class ApiServerUnavailable(PlatformError, AirflowException):  # noqa: N818
    """The API server did not answer until the deadline; the pod is left running."""


class Patience:
    """Repeats requests while the API server does not answer.

    An outage begins with the first failed request and ends with the first that succeeds, over all calls. It is logged
    at its begin, once a minute, and at its end. Once it has lasted for the timeout, every further call makes a single
    attempt. A signal handler may raise in `sleep`.
    `call_s` are the seconds that all calls have taken; `server` is the name in the log of what does not answer.
    """

    def __init__(
        self,
        timeout_s: float,
        log: Any,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        random: Callable[[], float] = random.random,
        server: str = "The Kubernetes API",
    ) -> None:
        self.log, self.sleep, self.call_s = log, sleep, 0.0
        self._timeout_s, self._clock, self._random, self._server = timeout_s, clock, random, server
        self._outage: _Outage | None = None
        self._end_at = math.inf

    def limit(self, seconds: float) -> None:
        """End every outage when these seconds from now are over, because the task has no more time."""
        self._end_at = min(self._end_at, self._clock() + seconds)

    @contextmanager
    def limited(self, seconds: float) -> Iterator[None]:
        """End every outage when these seconds from now are over, as long as the context lasts."""
        former = self._end_at
        self.limit(seconds)
        try:
            yield
        finally:
            self._end_at = former

    def call(self, what: str, function: Callable[[], _Result], *, is_allowed: bool = False) -> _Result:
        """Call a function, again and again while the API server does not answer, which may have received the request.

        Args:
            what: the request as verb and object, such as ``read pod p in namespace n``.
            function: sends the request.
            is_allowed: whether such a request was answered before, so that a refusal may not be the last word.

        Raises:
            ApiServerUnavailable: the outage has lasted for the timeout.
            ApiException: the API server refused the request.
        """
        return self.measure(lambda: self._repeat(what, function, is_allowed))

    def measure(self, function: Callable[[], _Result]) -> _Result:
        """Call a function once, and add its seconds to `call_s`."""
        began_at = self._clock()
        try:
            return function()
        finally:
            self.call_s += self._clock() - began_at

    def _repeat(self, what: str, function: Callable[[], _Result], is_allowed: bool) -> _Result:
        while True:
            try:
                result = function()
            except Exception as error:
                # A signal's exception derives from BaseException, so it passes through.
                if not self._is_retried(error, is_allowed):
                    self._end_outage(error)
                    if isinstance(error, ApiRefusal):
                        error.sentence = f"Cannot {what}: {describe_refusal(error)}. {advise(error)}"
                    raise
                self._wait(what, error)
            else:
                self._end_outage()
                return result

    def _is_retried(self, error: Exception, is_allowed: bool) -> bool:
        if is_transient(error):
            return True
        if not (is_doubtful(error) or is_certificate_error(error)):
            return False
        if self._outage is None:
            return is_allowed or is_of_proxy(error)
        return self._clock() < self._outage.last_failed_at + STARTUP_S  # as in `_wait`, to the last bit

    def _wait(self, what: str, error: Exception) -> None:
        now = self._clock()
        outage = self._outage = self._outage or _Outage(now)
        if is_transient(error):
            outage.last_failed_at = now
        end_at = outage.began_at + self._timeout_s if is_transient(error) else outage.last_failed_at + STARTUP_S
        remaining_s = min(end_at, self._end_at) - now
        if remaining_s <= 0:
            raise self._build_error(what, error, now - outage.began_at) from error
        if now >= outage.next_log_at:
            outage.next_log_at = now + _LOG_INTERVAL_S
            why = describe_error(error)
            if now > outage.began_at:
                self.log.warning("Still cannot %s after %.0f s: %s.", what, now - outage.began_at, why)
            else:
                self.log.warning("Cannot %s: %s. The task tries again for at most %.0f s.", what, why, remaining_s)
        outage.attempts += 1
        self.sleep(min(self._choose_wait(error, outage.attempts), remaining_s))

    def _choose_wait(self, error: Exception, attempts: int) -> float:
        jitter = self._random()
        asked_s = read_retry_after(error)
        if asked_s is not None:
            return asked_s + jitter
        return jitter * min(_FIRST_WAIT_S * 2.0 ** min(attempts - 1, 10), _LONGEST_WAIT_S)

    def _end_outage(self, refusal: Exception | None = None) -> None:
        outage, self._outage = self._outage, None
        if outage is not None and (refusal is None or isinstance(refusal, ApiException)):
            self.log.info("%s answers again after %.0f s.", self._server, self._clock() - outage.began_at)

    def _build_error(self, what: str, error: Exception, lasted_s: float) -> ApiServerUnavailable:
        is_limited = lasted_s < self._timeout_s
        lasted = f"{lasted_s:.0f} s" if is_limited else f"{self._timeout_s:.0f} s (policy.apiServerTimeout)"
        return ApiServerUnavailable(
            f"Cannot {what}: the Kubernetes API did not answer for {lasted}: {describe_error(error)}. "
            "The task deletes no pod for this",
            "Check the Kubernetes API. A retry of the task takes up the pod, or its result.",
        )


class _Outage:
    """An outage; times are those of the monotonic clock."""

    def __init__(self, now: float) -> None:
        self.began_at = self.next_log_at = self.last_failed_at = now
        self.attempts = 0
