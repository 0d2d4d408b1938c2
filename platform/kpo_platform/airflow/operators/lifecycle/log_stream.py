"""Read a container's log over a connection that another thread can break."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from kubernetes.client import ApiClient
from kubernetes.client.rest import RESTClientObject

from kpo_platform.airflow.operators.lifecycle.log_request import (
    READ_ERRORS,
    ContainerLog,
    ReadFailure,
    classify,
    read_chunks,
)


@dataclass(frozen=True)
class FollowTimes:
    """Seconds that a follower waits.

    Attributes:
        retry: before the first repetition of a failed read.
        longest_retry: between later ones.
        connect: for a connection.
        silence: without a line, until it connects again: the connection may be dead.
        end_silence: without a line after the container's end.
        end_read: without a byte in a read after the container's end.
        give_up: of failed reads after the container's end, without a byte.
    """

    retry: float = 1
    longest_retry: float = 15
    connect: float = 10
    silence: float = 300
    end_silence: float = 5
    end_read: float = 60
    give_up: float = 120


class LogStream:
    """The reads of one container's log, one at a time, by one thread.

    The kubelet answers nothing, not even headers, until a container that is followed has written a line. So what
    another thread breaks is the connection, from the moment that a read begins.

    Attributes:
        last_activity: when the last bytes came, by the monotonic clock.
    """

    def __init__(
        self, client: Callable[[], ApiClient], pod_name: str, namespace: str, container: str, times: FollowTimes
    ) -> None:
        """Prepare to read.

        Args:
            client: returns the current client of the API server; it is asked before each read.
            pod_name: name of the pod.
            namespace: namespace of the pod.
            container: name of the container.
            times: seconds to wait.
        """
        self._log = ContainerLog(pod_name, namespace, container)
        self._get_client, self._times = client, times
        self._client: ApiClient | None = None
        self._pool: Any = None
        self._socket: Any = None
        self._lock = threading.Lock()
        self._is_reading = self._is_following = self._is_closed = self._follows_no_more = False
        self.last_activity = 0.0

    def receive(
        self, take: Callable[[bytes], object], *, follow: bool = False, since: str | None = None, tail: int = 0
    ) -> ReadFailure | None:
        """Read from a second on, and pass on what comes; None if the body ended, or the read was broken off.

        Args:
            take: gets the chunks. Its exceptions pass through.
            follow: stay connected while the container runs.
            since: omit lines before this second.
            tail: read only so many last lines; 0 for all.
        """
        with self._lock:
            self._is_reading, self._is_following = True, follow
            if self._must_break:
                self._is_reading = False
                return None
        try:
            return self._receive(take, follow, since, tail)
        finally:
            with self._lock:
                self._is_reading = False

    def stop_following(self) -> None:
        """Break a read that follows, also one that begins now."""
        with self._lock:
            self._follows_no_more = True
            self._break_if_wanted()

    def close(self) -> None:
        """Break the current read, and read nothing more."""
        with self._lock:
            self._is_closed = True
            self._break_if_wanted()

    def _receive(
        self, take: Callable[[bytes], object], follow: bool, since: str | None, tail: int
    ) -> ReadFailure | None:
        timeout_s = (self._times.connect, self._times.silence if follow else self._times.end_read)
        try:
            client, pool = self._open_pool()
            response = self._log.open(client, pool, follow=follow, since=since, tail=tail, timeout_s=timeout_s)
        except READ_ERRORS as error:
            return classify(error)
        try:
            return self._pass_on(read_chunks(response), take)
        finally:
            response.close()

    def _pass_on(self, chunks: Iterator[bytes], take: Callable[[bytes], object]) -> ReadFailure | None:
        while not self._is_closed:
            try:
                chunk = next(chunks, None)
            except READ_ERRORS as error:
                return classify(error)
            if chunk is None:
                return None
            self.last_activity = time.monotonic()
            take(chunk)  # outside of the try: an error of the task's log is none of the pod's
        return None

    def _open_pool(self) -> tuple[ApiClient, Any]:
        """Return the client, and its connections as far as they are this stream's."""
        client = self._get_client()
        if client is not self._client:
            self._client, self._pool = client, _build_pool(client, self._meet_connection)
        return client, self._pool

    def _meet_connection(self, connection: Any) -> None:
        with self._lock:
            self._socket = connection.sock
            self._break_if_wanted()

    @property
    def _must_break(self) -> bool:
        return self._is_reading and (self._is_closed or (self._is_following and self._follows_no_more))

    def _break_if_wanted(self) -> None:
        if self._must_break and self._socket is not None:
            shut_down(self._socket)


def shut_down(connected: Any) -> None:
    """Wake up the thread that waits for more from this socket; it sees the end of the connection."""
    with suppress(OSError, ValueError), socket.socket(fileno=os.dup(connected.fileno())) as duplicate:
        duplicate.shutdown(socket.SHUT_RDWR)


def _build_pool(client: ApiClient, on_connect: Callable[[Any], None]) -> Any:
    """Build connections as the client's own, each of which is reported when it is open."""
    pool: Any = RESTClientObject(client.configuration).pool_manager
    pool.pool_classes_by_scheme = {
        scheme: _report_connections(kind, on_connect) for scheme, kind in pool.pool_classes_by_scheme.items()
    }
    return pool


def _report_connections(pool: Any, on_connect: Callable[[Any], None]) -> Any:
    """Derive a class of pools; urllib3's errors name the classes, so they keep their names."""
    connection = pool.ConnectionCls

    def connect(opened: Any) -> None:
        connection.connect(opened)
        on_connect(opened)

    connection_class = type(connection.__name__, (connection,), {"connect": connect})
    return type(pool.__name__, (pool,), {"ConnectionCls": connection_class})
