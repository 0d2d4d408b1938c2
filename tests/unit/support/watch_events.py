"""The events of pods in a fake cluster, and the streams of those who watch them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass
class WatchEvents:
    """What has happened to pods, each change with a version.

    Attributes:
        version: the last version.
        oldest: the API server knows no earlier version, because it was restarted.
        events: version, pod's name and event, in their order; a bookmark has no name.
    """

    version: int = 0
    oldest: int = 0
    events: list[tuple[int, str, Json]] = field(default_factory=list)
    _pods: dict[str, Json] = field(default_factory=dict)
    _cuts: int = 0
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def record(self, pods: Mapping[str, Json]) -> None:
        """Add the events since the last call, after which these are the pods."""
        with self._changed:
            for name, former in list(self._pods.items()):
                if name not in pods or _read_uid(pods[name]) != _read_uid(former):
                    self._add("DELETED", name, self._pods.pop(name))
            for name, pod in pods.items():
                former = self._pods.get(name, {})
                if pod != former:
                    self._add("MODIFIED" if former else "ADDED", name, pod)
                    self._pods[name] = pod
            self._changed.notify_all()

    def versioned(self, pod: Json) -> Json:
        """Return a pod with its version."""
        name = pod["metadata"]["name"]
        own = [version for version, of, _ in self.events if of == name]
        return _add_version(pod, own[-1] if own else self.version)

    def last_version(self, name: str) -> int:
        """Return the version of the last event that a watch of a pod gets; 0 if there is none."""
        return max((version for version, of, _ in self.events if of in (name, "")), default=0)

    def stream(self, name: str, version: int) -> Iterator[bytes]:
        """Yield the events of a pod, and the bookmarks, after a version, until `cut`."""
        if version < self.oldest:
            gone = {"kind": "Status", "code": 410, "message": "too old resource version"}
            yield json.dumps({"type": "ERROR", "object": gone}).encode() + b"\n"
            return
        first_cuts = self._cuts
        while True:
            with self._changed:
                due = [each for each in self.events if each[0] > version and each[1] in (name, "")]
                if not due and self._cuts == first_cuts:
                    self._changed.wait(1)
            if self._cuts != first_cuts:
                raise ConnectionResetError
            for version, _, event in due:  # noqa: B007
                yield json.dumps(event).encode() + b"\n"

    def add_bookmark(self) -> None:
        """Tell all who watch that nothing has happened to their pod."""
        with self._changed:
            self._add("BOOKMARK", "", {"kind": "Pod", "metadata": {}})
            self._changed.notify_all()

    def restart(self) -> None:
        """Break all streams, and forget all versions before."""
        self.version += 100
        self.oldest = self.version
        self.cut()

    def cut(self) -> None:
        """Break all streams."""
        with self._changed:
            self._cuts += 1
            self._changed.notify_all()

    def _add(self, kind: str, name: str, pod: Json) -> None:
        self.version += 1
        self.events.append((self.version, name, {"type": kind, "object": _add_version(pod, self.version)}))


def _add_version(pod: Json, version: int) -> Json:
    return {**pod, "metadata": {**pod["metadata"], "resourceVersion": str(version)}}


def _read_uid(pod: Json) -> str:
    return str(pod["metadata"]["uid"])
