"""Watch one pod in a thread: the API server reports every change of it at once."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from kubernetes.client import ApiClient, ApiException
from urllib3.exceptions import ProtocolError

from kpo_platform.airflow.api_errors import is_forbidden
from kpo_platform.airflow.operators.lifecycle.api_request import CONNECT_TIMEOUT_S
from kpo_platform.airflow.operators.lifecycle.stream_connection import StreamConnection, read_chunks
from kpo_platform.pod.json_fields import read_object, read_text
from kpo_platform.pod.log_lines import LineSplitter
from kpo_platform.pod.merge import Json

_CHANGES = ("ADDED", "MODIFIED", "DELETED")
_LASTS_S = (240, 300)
"""How long the API server shall keep a watch; not the same time for all tasks that start at once."""

_SILENCE_S = 90.0
"""Longer than the minute between the bookmarks of the API server (its `bookmarkFrequency`); then it may be gone."""


@dataclass(frozen=True)
class WatchEnd:
    """Why a watch has ended.

    Attributes:
        error: what has ended it; None if the API server has, so that another watch can follow at once.
        is_refused: whether the API server does not allow watches, or does not know them.
    """

    error: Exception | None = None
    is_refused: bool = False


class PodWatch:
    """One watch of one pod, from a version of it on. It never raises, and is not repeated: its owner does that.

    Args:
        client: returns the current client of the API server.
        pod: the pod's name, namespace and uid; another pod of the name means that this one is gone.
        version: the ``resourceVersion`` to begin with: of the creation, a list, or an earlier watch.
        on_change: called when there is something to take, or the watch has ended.

    Attributes:
        name: the pod's name.
        version: the version that it has come to.
        end: why it has ended; None while it runs.
        has_worked: whether it has reported something: an event, or the bookmark that an API server sends every minute.
    """

    def __init__(
        self,
        client: Callable[[], ApiClient],
        pod: tuple[str, str, str],
        version: str,
        on_change: Callable[[], object],
    ) -> None:
        self.name, namespace, self._uid = pod
        self._path, self._on_change = f"/api/v1/namespaces/{namespace}/pods", on_change
        self._connection = StreamConnection(client, lambda: not self._is_closed)
        self._is_closed = False
        self._news: tuple[Json | None, bool] = (None, False)
        self.version = version
        self.end: WatchEnd | None = None
        self.has_worked = False
        self._thread = threading.Thread(target=self._run, name=f"watch of {self.name}", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def take(self) -> tuple[Json | None, bool]:
        """Return the last state that was reported since the last call, or None, and whether the pod is gone."""
        with self._connection.lock:
            news, self._news = self._news, (None, self._news[1])
        return news

    def close(self) -> None:
        """End the watch."""
        with self._connection.lock:
            self._is_closed = True
            self._connection.break_if_unwanted()

    def _run(self) -> None:
        try:
            end = self._watch()
        except ApiException as error:
            end = WatchEnd(error, is_refused=is_forbidden(error) or error.status in (404, 405, 501))
        except Exception as error:  # the task must not fail for its watch
            end = WatchEnd(error)
        self.end = end
        self._on_change()

    def _watch(self) -> WatchEnd:
        query = {
            "watch": "true",
            "fieldSelector": f"metadata.name={self.name}",
            "resourceVersion": self.version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(random.randint(*_LASTS_S)),
        }
        answer = self._connection.open(self._path, query, (CONNECT_TIMEOUT_S, _SILENCE_S))
        try:
            for event in _parse_events(read_chunks(answer)):
                if not self._take(event):
                    break
        finally:
            answer.close()
        return WatchEnd()

    def _take(self, event: Json) -> bool:
        """Take an event, and return whether the watch continues."""
        kind, found = read_text(event.get("type")), read_object(event.get("object"))
        if kind == "ERROR":
            raise ApiException(status=found.get("code"), reason=read_text(found.get("message")))
        metadata = read_object(found.get("metadata"))
        version, uid = read_text(metadata.get("resourceVersion")), read_text(metadata.get("uid"))
        if kind == "BOOKMARK" and version:
            self.has_worked, self.version = True, version
            return True
        if kind not in _CHANGES or not version or not uid or metadata.get("name") != self.name:
            raise ProtocolError("the answer is not an event of the pod")
        is_own = uid == self._uid
        with self._connection.lock:
            self.has_worked, self.version = True, version
            is_gone = kind == "DELETED" or not is_own
            self._news = (found if is_own else self._news[0], is_gone)
        self._on_change()
        return not is_gone


def _parse_events(chunks: Iterator[bytes]) -> Iterator[Json]:
    splitter = LineSplitter()
    for chunk in chunks:
        for line in splitter.feed(chunk):
            event = json.loads(line)
            if not isinstance(event, dict):
                raise ProtocolError("the answer is not an event")
            yield event
