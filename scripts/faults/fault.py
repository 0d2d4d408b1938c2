"""Faults of the API server, and the requests that they affect."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from common.errors import ScriptError
from faults.api_request import ApiRequest

RELEASE_TIMEOUT_S = 300.0
"""The time after which a held request continues by itself: no test keeps a task forever."""


@dataclass(frozen=True)
class Answer:
    """Answer with an error instead of passing the request on.

    Attributes:
        status: the HTTP status.
        retry_after: the header Retry-After; empty for none.
    """

    status: int
    retry_after: str = ""


@dataclass(frozen=True)
class HangUp:
    """Close the connection without an answer.

    Attributes:
        is_delivered: whether the API server receives the request and only its answer is lost.
    """

    is_delivered: bool = False


@dataclass(frozen=True)
class Delay:
    """Pass the request on after a number of seconds."""

    seconds: float


@dataclass(frozen=True)
class CutBody:
    """Cut the body of the answer in the middle of a line.

    Attributes:
        after_bytes: the least number of bytes that are sent before the cut.
        is_clean: whether the body ends as a complete one does; otherwise the connection is closed.
    """

    after_bytes: int
    is_clean: bool = False


class Hold:
    """Hold the request, or its answer, until it is released.

    Args:
        is_delivered: whether the API server receives the request before it is held.
    """

    def __init__(self, is_delivered: bool = False) -> None:
        self.is_delivered = is_delivered
        self._reached = threading.Event()
        self._released = threading.Event()

    def block(self) -> None:
        """Wait for the release; called by the proxy."""
        self._reached.set()
        self._released.wait(RELEASE_TIMEOUT_S)

    def wait_until_reached(self, timeout_s: float, describe: Callable[[], str] = str) -> None:
        """Wait until a request is held.

        Args:
            timeout_s: seconds to wait.
            describe: returns what was seen instead.

        Raises:
            ScriptError: no request came in time.
        """
        if not self._reached.wait(timeout_s):
            raise ScriptError(f"Waited {timeout_s:g} s for a request to hold; last seen: {describe() or 'none'}")

    def release(self) -> None:
        """Let all held requests continue, and hold no further ones."""
        self._released.set()


Action = Answer | HangUp | Delay | CutBody | Hold


@dataclass
class Fault:
    """An action on some of the requests.

    Attributes:
        requests: verb and resource as in `create pods`; `*` and `?` match as in file names.
        action: what happens to the requests.
        times: the number of requests that are affected; None for all.
        task: the task whose pod the request is about, such as `dag.task` or `dag.task[3]`; empty for every request.
        client: the IP address of the client; empty for every client.
        hits: the number of requests that were affected.
    """

    requests: str
    action: Action
    times: int | None = None
    task: str = ""
    client: str = ""
    hits: int = field(default=0, init=False)

    def matches(self, request: ApiRequest, task: str, client: str) -> bool:
        """Return whether the fault affects a request.

        Args:
            request: the request.
            task: the task of its pod, if it is known.
            client: the IP address from which it comes.
        """
        is_selected = self.task in ("", task) and self.client in ("", client)
        return is_selected and self.hits != self.times and fnmatchcase(str(request), self.requests)
