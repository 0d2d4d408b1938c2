"""A watch of the pods of a run by the benchmark itself: when each has ended, and how many each task had."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from common.command import end_process_group
from common.errors import ScriptError
from stack.release import Stack

_WATCH_S = 3600
_PAUSE_S = 0.2
_CLOSE_S = 10.0


class PodEnds:
    """What a watch has shown, by map index.

    A watch shows a state milliseconds after the API server has it.

    Attributes:
        ended: the time at which the end of the first pod came.
        running: the indices whose pods run or have run.
        version: the version from which the watch can be continued.
        answers: how often it has ended.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.ended: dict[int, float] = {}
        self.running: set[int] = set()
        self.version, self.answers = "", 0
        self._clock = clock
        self._uids: dict[int, set[str]] = {}

    @property
    def pods(self) -> dict[int, int]:
        """How many pods each task had."""
        return {index: len(uids) for index, uids in self._uids.items()}

    def add(self, line: bytes) -> None:
        """Take a line of the watch."""
        now = self._clock()
        event = json.loads(line)
        if event["type"] == "ERROR":
            raise ScriptError(f"The watch of the pods ended: {event['object'].get('message')}.")
        self.version = event["object"]["metadata"]["resourceVersion"]
        if event["type"] not in ("ADDED", "MODIFIED"):
            return
        metadata, phase = event["object"]["metadata"], event["object"].get("status", {}).get("phase")
        index = int(metadata["labels"]["map_index"])
        self._uids.setdefault(index, set()).add(metadata["uid"])
        if phase in ("Running", "Succeeded"):
            self.running.add(index)
        if phase == "Succeeded":
            self.ended.setdefault(index, now)


@contextmanager
def watch_ends(stack: Stack, namespace: str, run: str) -> Iterator[PodEnds]:
    """Watch the pods of a run, of which none exists yet, during the block.

    Raises:
        ScriptError: the watch ended, and could not be continued, before the block did.
    """
    ends, watch = PodEnds(), _Watch(stack, f"/api/v1/namespaces/{namespace}/pods?labelSelector=run_id%3D{run}")
    ends.version = watch.read_version()
    reader = threading.Thread(target=watch.read, args=(ends,), daemon=True)
    reader.start()
    try:
        yield ends
        if watch.errors:
            raise ScriptError(f"Cannot tell when the pods of {run} have ended: {watch.errors[0]}")
    finally:
        watch.close()
        reader.join(_CLOSE_S)


class _Watch:
    """A watch, which is continued if the API server ends it, as it does if its events are not read fast enough."""

    def __init__(self, stack: Stack, uri: str) -> None:
        self._stack, self._uri = stack, uri
        self.errors: list[Exception] = []
        self._is_closed = False
        self._process: subprocess.Popen[bytes] | None = None

    def read_version(self) -> str:
        pods = json.loads(self._stack.kubectl("get", "--raw", f"{self._uri}&limit=1"))
        return str(pods["metadata"]["resourceVersion"])

    def read(self, ends: PodEnds) -> None:
        try:
            while not self._is_closed:
                self._read_until_end(ends)
        except Exception as error:
            self.errors.append(error)

    def close(self) -> None:
        self._is_closed = True
        if self._process is not None:
            end_process_group(self._process)

    def _read_until_end(self, ends: PodEnds) -> None:
        """Read what kubectl passes on of an answer."""
        watch = f"&watch=true&allowWatchBookmarks=true&resourceVersion={ends.version}&timeoutSeconds={_WATCH_S}"
        with subprocess.Popen(
            [self._stack.programs / "kubectl", "get", "--raw", self._uri + watch],
            env={**os.environ, **self._stack.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as self._process:
            assert self._process.stdout
            for line in self._process.stdout:
                if line.endswith(b"\n"):
                    ends.add(line)
        ends.answers += 1
        time.sleep(_PAUSE_S)
