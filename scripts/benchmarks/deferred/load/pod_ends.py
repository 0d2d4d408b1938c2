"""A watch of the pods of a run by the benchmark itself: when each has ended, and how many each task had."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

from common.command import end_process_group
from common.errors import ScriptError
from stack.release import Stack

_WATCH_S = 3600


class PodEnds:
    """What a watch has shown, by map index.

    A watch shows a state milliseconds after the API server has it.

    Attributes:
        ended: the time at which the end of the first pod came.
        running: the indices whose pods run or have run.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.ended: dict[int, float] = {}
        self.running: set[int] = set()
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
        if event["type"] not in ("ADDED", "MODIFIED"):
            if event["type"] == "ERROR":
                raise ScriptError(f"The watch of the pods ended: {event['object'].get('message')}.")
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
        ScriptError: the watch ended before the block did.
    """
    ends, errors = PodEnds(), list[Exception]()
    uri = f"/api/v1/namespaces/{namespace}/pods?labelSelector=run_id%3D{run}"
    version = json.loads(stack.kubectl("get", "--raw", f"{uri}&limit=1"))["metadata"]["resourceVersion"]
    watch = f"{uri}&watch=true&resourceVersion={version}&timeoutSeconds={_WATCH_S}"
    with _stream(stack, watch) as lines:
        reader = threading.Thread(target=_read, args=(lines, ends, errors), daemon=True)
        reader.start()
        yield ends
        if not reader.is_alive():
            raise ScriptError(f"Cannot tell when the pods of {run} have ended: {errors or 'the watch ended'}.")


@contextmanager
def _stream(stack: Stack, uri: str) -> Iterator[IO[bytes]]:
    """Give what kubectl passes on of an answer, and end it after the block."""
    process = subprocess.Popen(
        [stack.programs / "kubectl", "get", "--raw", uri],
        env={**os.environ, **stack.environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert process.stdout
    try:
        yield process.stdout
    finally:
        end_process_group(process)


def _read(lines: IO[bytes], ends: PodEnds, errors: list[Exception]) -> None:
    try:
        for line in lines:
            ends.add(line)
    except Exception as error:
        errors.append(error)
