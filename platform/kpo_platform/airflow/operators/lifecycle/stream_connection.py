"""A request whose answer is read as it comes, over a connection that another thread can break."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from kubernetes.client import ApiClient
from kubernetes.client.rest import RESTClientObject

from kpo_platform.airflow.operators.lifecycle.api_request import open_answer

_CHUNK = 64 * 1024


class StreamConnection:
    """Opens one stream at a time, in one thread, until another thread breaks it.

    The server may answer nothing, not even headers, until there is something to tell. So what is broken is the
    connection, from the moment that the request begins.

    Args:
        client: returns the current client of the API server.
        is_wanted: tells whether the stream may continue; called under `lock`.
    """

    def __init__(self, client: Callable[[], ApiClient], is_wanted: Callable[[], bool]) -> None:
        self._get_client, self._is_wanted = client, is_wanted
        self._client: ApiClient | None = None
        self._pool: Any = None
        self._socket: Any = None
        self.lock = threading.Lock()

    def open(self, path: str, query: Mapping[str, str], timeout_s: tuple[float, float]) -> Any:
        """Send a GET and return urllib3's answer; parameters and exceptions as of `open_answer`."""
        client = self._get_client()
        if client is not self._client:
            self._client, self._pool = client, _build_pool(client, self._meet_connection)
        return open_answer(client, "GET", path, query=query, timeout_s=timeout_s, pool=self._pool)

    def break_if_unwanted(self) -> None:
        """Wake up the thread that waits for more; it sees the end of the connection. Call it under `lock`."""
        if self._is_wanted() or self._socket is None:
            return
        with suppress(OSError, ValueError), socket.socket(fileno=os.dup(self._socket.fileno())) as duplicate:
            duplicate.shutdown(socket.SHUT_RDWR)

    def _meet_connection(self, connection: Any) -> None:
        with self.lock:
            self._socket = connection.sock
            self.break_if_unwanted()


def read_chunks(answer: Any) -> Iterator[bytes]:
    """Yield the body of an answer as it comes, decoded; exceptions as of urllib3.

    urllib3's `stream` holds back an answer without chunks, as of a proxy that speaks HTTP/1.0, until it has as many
    bytes as it was asked for.
    """
    if answer.chunked:
        yield from answer.stream(_CHUNK, decode_content=True)
        return
    while chunk := answer.read1(_CHUNK, decode_content=True):
        yield chunk


def _build_pool(client: ApiClient, on_connect: Callable[[Any], None]) -> Any:
    """Build connections as the client's own, with its TLS context, each of which is reported when it is open."""
    manager: Any = RESTClientObject(client.configuration).pool_manager
    manager.connection_pool_kw = client.rest_client.pool_manager.connection_pool_kw
    pool = manager.connection_from_url(client.configuration.host)
    kind = pool.ConnectionCls

    def connect(connection: Any) -> None:
        kind.connect(connection)
        on_connect(connection)

    pool.ConnectionCls = type(kind.__name__, (kind,), {"connect": connect})  # urllib3's errors name the class
    return manager
