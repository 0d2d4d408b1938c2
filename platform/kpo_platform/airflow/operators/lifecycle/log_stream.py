"""Read a container's log over a connection that another thread can break."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from kubernetes.client import ApiClient, ApiException
from urllib3.exceptions import HTTPError, ReadTimeoutError

from kpo_platform.airflow.api_errors import read_message, read_retry_after
from kpo_platform.airflow.operators.lifecycle.stream_connection import StreamConnection, read_chunks
from kpo_platform.pod.cluster_text import sanitize

_NOT_STARTED = ("is waiting to start", "is not available", "PodInitializing")
_NEVER = ("is not valid for pod", "a container name must be specified")
_GONE = re.compile(r'pods "[^"]*" not found')
"""The API server's words. A kubelet that has just started does not know its pods yet, and answers 404 as well."""

_READ_ERRORS = (ApiException, HTTPError, OSError)


@dataclass(frozen=True)
class FollowTimes:
    """Seconds that a follower waits."""

    retry: float = 1  # before the first repetition of a failed read
    longest_retry: float = 15  # between later ones
    ended: float = 5  # after the API server has ended the log: the container has probably ended, which is told soon
    connect: float = 10
    silence: float = 300  # without a line, until it connects again: the connection may be dead
    # After the container's end:
    end_silence: float = 0.1  # without a line, while it still follows: the kubelet ends that up to a second later
    end_read: float = 60  # without a byte in a read
    give_up: float = 120  # of failed reads, without a byte


@dataclass(frozen=True)
class ReadFailure:
    """Why a read ended early."""

    text: str
    is_silence: bool = False  # nothing was logged for a while; the connection may be dead
    is_not_started: bool = False  # the container has no log yet
    is_final: bool = False  # another read cannot succeed
    is_refusal: bool = False  # the answer will hardly change after the container's end
    is_unauthorized: bool = False  # the credentials are no longer valid
    retry_after_s: float = 0


_BROKEN_OFF = ReadFailure("it was broken off")
"""The task itself has ended the read."""


class LogStream:
    """The reads of one container's log, one at a time, by one thread.

    Attributes:
        last_activity: when the last bytes came, by the monotonic clock.
    """

    def __init__(
        self, client: Callable[[], ApiClient], pod_name: str, namespace: str, container: str, times: FollowTimes
    ) -> None:
        self._path, self._container = f"/api/v1/namespaces/{namespace}/pods/{pod_name}/log", container
        self._times = times
        self._connection = StreamConnection(client, lambda: self._is_wanted)
        self._is_following = self._is_closed = self._follows_no_more = False
        self.last_activity = 0.0

    def receive(
        self, take: Callable[[bytes], object], *, follow: bool = False, since: str | None = None, tail: int = 0
    ) -> ReadFailure | None:
        """Read the log with stamps, and pass on what comes; None if the body has ended.

        Exceptions of `take` pass through. The client library's own method has no ``sinceTime``, only seconds by the
        worker's clock.
        """
        query = {"container": self._container, "timestamps": "true"}
        options = {"follow": "true" if follow else "", "sinceTime": since, "tailLines": str(tail or "")}
        query |= {name: value for name, value in options.items() if value}
        with self._connection.lock:
            self._is_following = follow
            if not self._is_wanted:
                return _BROKEN_OFF
        timeout_s = (self._times.connect, self._times.silence if follow else self._times.end_read)
        try:
            response = self._connection.open(self._path, query, timeout_s)
        except _READ_ERRORS as error:
            return _classify(error)
        try:
            failure = self._pass_on(read_chunks(response), take)
        finally:
            response.close()
        return failure if self._is_wanted else _BROKEN_OFF

    def stop_following(self) -> None:
        """Break a read that follows, also one that begins now."""
        with self._connection.lock:
            self._follows_no_more = True
            self._connection.break_if_unwanted()

    def close(self) -> None:
        """Break the current read, and read nothing more."""
        with self._connection.lock:
            self._is_closed = True
            self._connection.break_if_unwanted()

    def _pass_on(self, chunks: Iterator[bytes], take: Callable[[bytes], object]) -> ReadFailure | None:
        while not self._is_closed:
            try:
                chunk = next(chunks, None)
            except _READ_ERRORS as error:
                return _classify(error)
            if chunk is None:
                break
            self.last_activity = math.inf  # what has come is being written, however long that takes
            take(chunk)  # outside of the try: an error of the task's log is none of the pod's
            self.last_activity = time.monotonic()
        return None

    @property
    def _is_wanted(self) -> bool:
        return not (self._is_closed or (self._is_following and self._follows_no_more))


def _classify(error: Exception) -> ReadFailure:
    if not isinstance(error, ApiException):
        return ReadFailure(f"{type(error).__name__}: {sanitize(error)}", is_silence=isinstance(error, ReadTimeoutError))
    message = read_message(error)
    return ReadFailure(
        f"HTTP {error.status}: {sanitize(message)}",
        is_not_started=error.status == 400 and any(part in message for part in _NOT_STARTED),
        is_final=any(part in message for part in _NEVER) or bool(error.status == 404 and _GONE.match(message)),
        is_unauthorized=error.status == 401,
        is_refusal=400 <= error.status < 500 and error.status not in (408, 429),
        retry_after_s=read_retry_after(error) or 0.0,
    )
