"""Follow the log of a container in a thread while the task waits for its pod."""

from __future__ import annotations

import contextvars
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from kubernetes.client import ApiClient

from kpo_platform.airflow.operators.lifecycle.log_lines import (
    LineSplitter,
    LogCursor,
    LogLine,
    LogPosition,
    Novelty,
    parse_line,
)
from kpo_platform.airflow.operators.lifecycle.log_request import (
    READ_ERRORS,
    ContainerLog,
    ReadFailure,
    break_stream,
    classify,
    read_chunks,
)

_REFUSALS_AFTER_END, _FAILURES_BEFORE_NOTICE = 5, 3


class LineWriter(Protocol):
    """Where a follower writes."""

    def write(self, line: LogLine) -> None:
        """Write a line of the log."""

    def write_notice(self, text: str) -> None:
        """Write a sentence about the log."""

    def close(self, notice: str) -> None:
        """Write a last notice, and drop everything after it."""


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


class LogFollower:
    """A thread that writes every line of a container's log once.

    It reads until the container has ended and its last line has been written, through cut connections, outages and
    rotation, and marks a gap that it cannot exclude. It never raises into the task and never keeps its process alive.
    To read the log of an ended container once, call `container_ended` before `start`.
    """

    def __init__(
        self,
        api: ApiClient,
        pod_name: str,
        namespace: str,
        container: str,
        writer: LineWriter,
        *,
        position: LogPosition | None = None,
        times: FollowTimes | None = None,
    ) -> None:
        """Prepare to follow.

        Args:
            api: client of the API server.
            pod_name: name of the pod.
            namespace: namespace of the pod.
            container: name of the container.
            writer: where lines go, called in the follower's thread.
            position: the last line that a former process wrote.
            times: seconds to wait.
        """
        self._log = ContainerLog(api, pod_name, namespace, container)
        self._writer, self._times = writer, times or FollowTimes()
        self._cursor, self._pending = LogCursor(position), b""
        self._ended, self._closed, self._lock = threading.Event(), threading.Event(), threading.Lock()
        self._response: Any = None
        self._is_following = False
        self._last_activity = 0.0
        self._failures, self._refusals, self._has_noticed, self._why = 0, 0, False, ""
        self._is_complete = False
        context = contextvars.copy_context()  # Airflow's loggers take the fields of their lines from it
        self._thread = threading.Thread(target=context.run, args=(self._run,), name=f"log of {container}", daemon=True)

    @property
    def position(self) -> LogPosition | None:
        """The last line that was written; None before the first."""
        return self._cursor.position

    def start(self) -> None:
        """Start the thread. The container may not have started yet."""
        self._thread.start()

    def container_ended(self) -> None:
        """Read what is left, then end. Call it when the container has terminated."""
        if not self._ended.is_set():
            self._last_activity = time.monotonic()
            self._ended.set()

    def stop_following(self) -> None:
        """Read what is there now, then end. Call it for a container that keeps running."""
        self.container_ended()
        self._break_stream()

    def join(self, timeout_s: float) -> bool:
        """Wait for the thread and return whether it has ended; write no further line after the timeout."""
        deadline = time.monotonic() + timeout_s
        while self._thread.is_alive() and (remaining := deadline - time.monotonic()) > 0:
            self._thread.join(min(remaining, self._times.end_silence / 5))
            is_silent = time.monotonic() - self._last_activity > self._times.end_silence
            if self._ended.is_set() and self._is_following and is_silent:
                self._break_stream()
        if not self._thread.is_alive():
            return True
        self._closed.set()
        self._writer.close(self._describe_missing(self._why or f"it was not read within {timeout_s:g} s"))
        self._break_stream()
        return False

    def _run(self) -> None:
        try:
            while not self._closed.is_set():
                failure = self._finish() if self._ended.is_set() else self._read(follow=True, since=self._cursor.since)
                if failure is None and self._ended.is_set() and self._is_complete:
                    return
                if failure is not None and self._is_hopeless(failure):
                    return
                self._pause(failure)
        except Exception as error:  # the task must not fail for its log
            self._writer.write_notice(self._describe_missing(f"{type(error).__name__}: {error}"))

    def _finish(self) -> ReadFailure | None:
        """Read the rest after the container's end, and prove that it is complete by the log's last line.

        An end of the body proves nothing: the API server ends it also when its connection to the kubelet breaks.
        """
        failure = self._read_tail()
        if failure is not None or self._is_complete:
            return failure
        for since in dict.fromkeys((self._cursor.since, None)):  # by the whole log if the node's clock was set back
            before = (self._cursor.position, self._pending)
            failure = self._read(follow=False, since=since)
            if failure is not None or before != (self._cursor.position, self._pending):
                return failure or self._read_tail()
        if not self._cursor.is_found:
            return ReadFailure("its last lines are no longer in the log", is_refusal=True)
        self._complete()  # two reads agree
        return None

    def _read_tail(self) -> ReadFailure | None:
        """Compare the log's last line; of a line that the runtime has split, it is only the last fragment."""
        tail = bytearray()
        failure = self._receive(tail.extend, tail=True)
        line, pending = parse_line(bytes(tail).removesuffix(b"\n")), parse_line(self._pending)
        if failure is None and line and (line == pending if pending else self._cursor.is_last(line)):
            self._complete()
        return failure

    def _complete(self) -> None:
        if self._pending:
            self._take(self._pending)
            self._pending = b""
        self._is_complete = True

    def _read(self, *, follow: bool, since: str | None) -> ReadFailure | None:
        """Read from a second on, and write what is new."""
        splitter = LineSplitter()
        self._cursor.begin_read()

        def take(chunk: bytes) -> None:
            for raw in splitter.feed(chunk):
                self._take(raw)

        failure = self._receive(take, follow=follow, since=since)
        rest = splitter.rest
        if failure is None and rest and parse_line(rest) is None:
            # A kubelet that cannot read on ends the body with its error.
            text = rest.decode("utf-8", "backslashreplace")
            return ReadFailure(f"the kubelet answered: {text}", is_refusal=True)
        self._pending = rest if failure is None and self._is_unwritten(rest) else b""
        return failure

    def _is_unwritten(self, rest: bytes) -> bool:
        line = parse_line(rest)
        return line is not None and line != self._cursor.last

    def _receive(
        self, take: Callable[[bytes], object], *, follow: bool = False, since: str | None = None, tail: bool = False
    ) -> ReadFailure | None:
        silence = self._times.silence if follow else self._times.end_read
        try:
            timeout_s = (self._times.connect, silence)
            response = self._log.open(follow=follow, since=since, tail=tail, timeout_s=timeout_s)
        except READ_ERRORS as error:
            return classify(error)
        with self._lock:
            self._response, self._is_following = response, follow
        try:
            return self._pass_on(read_chunks(response), take)
        finally:
            with self._lock:
                self._response, self._is_following = None, False
            response.close()

    def _pass_on(self, chunks: Iterator[bytes], take: Callable[[bytes], object]) -> ReadFailure | None:
        while not self._closed.is_set():
            try:
                chunk = next(chunks, None)
            except READ_ERRORS as error:
                return classify(error)
            if chunk is None:
                return None
            self._last_activity = time.monotonic()
            take(chunk)  # outside of the try: an error of the task's log is none of the pod's
        return None

    def _take(self, raw: bytes) -> None:
        line = parse_line(raw)
        if line is None:
            # The end of a fragmented line from before sinceTime: the line itself has been written.
            return
        before = self._cursor.position
        novelty = self._cursor.accept(line)
        if novelty is Novelty.OLD:
            return
        if self._failures:
            self._failures, self._has_noticed = 0, False
        if novelty is Novelty.NEW_AFTER_GAP and before is not None:
            self._writer.write_notice(
                f"The log of container {self._log.container} may have a gap between {before.stamp}Z and {line.stamp}Z."
            )
        self._writer.write(line)

    def _is_hopeless(self, failure: ReadFailure) -> bool:
        """Whether to give up, and say so unless the container never had a log."""
        if self._ended.is_set():
            if failure.is_not_started and self._cursor.position is None:
                return True
            self._refusals += failure.is_refusal
        if failure.is_final or self._refusals >= _REFUSALS_AFTER_END or self._is_given_up():
            self._writer.write_notice(self._describe_missing(failure.text))
            return True
        return False

    def _is_given_up(self) -> bool:
        """Whether nothing was read for so long after the end that nothing is expected, as from a lost node."""
        return self._ended.is_set() and time.monotonic() - self._last_activity > self._times.give_up

    def _pause(self, failure: ReadFailure | None) -> None:
        """Wait before the next read, at most until the container's end if nothing failed."""
        if failure is not None and failure.is_silence:
            return
        self._failures += 1
        longest = min(self._times.longest_retry, self._times.retry * 2 ** min(self._failures - 1, 10))
        if failure is None or failure.is_not_started:
            (self._closed if self._ended.is_set() else self._ended).wait(longest)
            return
        self._why = failure.text
        is_ending = self._ended.is_set() and failure.is_refusal  # told by `_is_hopeless` within seconds
        if self._failures >= _FAILURES_BEFORE_NOTICE and not (self._has_noticed or is_ending):
            self._has_noticed = True
            self._writer.write_notice(
                f"Cannot read the log of container {self._log.container} now: {failure.text}. It is tried again."
            )
        self._closed.wait(max(failure.retry_after_s, longest * random.uniform(0.1, 1)))

    def _break_stream(self) -> None:
        with self._lock:
            if self._response is not None:
                break_stream(self._response)

    def _describe_missing(self, why: str) -> str:
        position = self._cursor.position
        where = f"after {position.stamp}Z" if position else "from its start"
        return f"The log of container {self._log.container} may be incomplete {where}: {why}."
