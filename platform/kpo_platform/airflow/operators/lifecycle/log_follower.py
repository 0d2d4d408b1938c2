"""Follow the log of a container in a thread while the task waits for its pod."""

from __future__ import annotations

import contextvars
import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from kubernetes.client import ApiClient

from kpo_platform.airflow.operators.lifecycle.log_lines import (
    LineSplitter,
    LogCursor,
    LogLine,
    LogPosition,
    Novelty,
    parse_line,
)
from kpo_platform.airflow.operators.lifecycle.log_request import ReadFailure
from kpo_platform.airflow.operators.lifecycle.log_stream import FollowTimes, LogStream

_REFUSALS_AFTER_END, _FAILURES_BEFORE_NOTICE = 5, 3


class LineWriter(Protocol):
    """Where a follower writes."""

    def write(self, line: LogLine) -> bool:
        """Write a line of the log, and return whether it was written."""

    def write_notice(self, text: str) -> None:
        """Write a sentence about the log."""

    def close(self, notice: str = "") -> None:
        """Write a last notice, and drop everything after it."""


class LogFollower:
    """A thread that writes every line of a container's log once.

    It reads until the container has ended and its last line has been written, through cut connections, outages and
    rotation, and marks a gap that it cannot exclude. It never raises into the task and never keeps its process alive.
    To read the log of an ended container once, call `container_ended` before `start`.
    """

    def __init__(
        self,
        client: Callable[[], ApiClient],
        pod_name: str,
        namespace: str,
        container: str,
        writer: LineWriter,
        *,
        position: LogPosition | None = None,
        times: FollowTimes | None = None,
        on_pause: Callable[[], object] = lambda: None,
    ) -> None:
        """Prepare to follow.

        Args:
            client: returns the current client of the API server.
            pod_name: name of the pod.
            namespace: namespace of the pod.
            container: name of the container.
            writer: where lines go, called in the follower's thread.
            position: the last line that a former process wrote.
            times: seconds to wait.
            on_pause: called when the API server has ended the log; the container has probably ended.
        """
        self._container, self._writer, self._times = container, writer, times or FollowTimes()
        self._stream = LogStream(client, pod_name, namespace, container, self._times)
        self._on_pause = on_pause
        self._cursor, self._pending = LogCursor(position), b""
        self._written, self._tail_stamp = position, ""
        self._ended, self._closed = threading.Event(), threading.Event()
        self._is_stopped = self._is_complete = self._has_noticed = False
        self._failures, self._refusals, self._why = 0, 0, ""
        context = contextvars.copy_context()  # Airflow's loggers take the fields of their lines from it
        self._thread = threading.Thread(target=context.run, args=(self._run,), name=f"log of {container}", daemon=True)

    @property
    def position(self) -> LogPosition | None:
        """The last line that was written; None before the first."""
        return self._written

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    @property
    def has_finished(self) -> bool:
        """Whether everything has been done after the container's end."""
        return self._ended.is_set() and not self.is_alive

    def start(self) -> None:
        """Start the thread. The container may not have started yet."""
        self._thread.start()

    def container_ended(self) -> None:
        """Read what is left, then end. Call it when the container has terminated."""
        if not self._ended.is_set():
            self._stream.last_activity = time.monotonic()
            self._ended.set()

    def stop_following(self) -> None:
        """Read what is there now, then end. Call it for a container that keeps running."""
        self._is_stopped = True
        self.container_ended()
        self._stream.stop_following()

    def join(self, timeout_s: float) -> bool:
        """Wait for the thread and return whether it has ended; write no further line after the timeout."""
        return join_all([self], timeout_s)

    def wait(self, timeout_s: float) -> None:
        """Wait for the thread, and break a read that still follows in silence after the container's end."""
        if self.is_alive:
            self._thread.join(timeout_s)
        if self._ended.is_set() and time.monotonic() - self._stream.last_activity > self._times.end_silence:
            self._stream.stop_following()

    def give_up(self, timeout_s: float) -> None:
        """Write that the log was not read within a time, and no further line."""
        self.close(self._describe_missing(self._why or f"it was not read within {timeout_s:g} s"))

    def close(self, notice: str = "") -> None:
        """Write no further line, except for a notice."""
        self._closed.set()
        self._ended.set()  # wakes up a thread that waits for it
        self._writer.close(notice)
        self._stream.close()

    def _run(self) -> None:
        try:
            while not self._closed.is_set():
                if not self._ended.is_set():
                    failure = self._follow()
                    if self._ended.is_set():
                        continue  # what is left is read at once
                else:
                    failure = self._finish()
                if self._is_complete or (failure is not None and self._is_hopeless(failure)):
                    return
                self._pause(failure)
        except Exception as error:  # the task must not fail for its log
            self._writer.write_notice(self._describe_missing(f"{type(error).__name__}: {error}"))

    def _follow(self) -> ReadFailure | None:
        failure = self._read(follow=True, since=self._cursor.since)
        if failure is None:
            self._on_pause()
        return failure

    def _finish(self) -> ReadFailure | None:
        """Read the rest after the container's end, and prove that it is complete by the log's last line.

        An end of the body proves nothing: the API server ends it also when its connection to the kubelet breaks.
        """
        if self._is_stopped:
            return self._read_once()
        failure = self._read_tail()
        if failure is not None or self._is_complete:
            return failure
        for since in self._list_starts():
            before = (self._cursor.position, self._pending)
            failure = self._read(follow=False, since=since)
            if failure is not None or before != (self._cursor.position, self._pending):
                return failure or self._read_tail()
        if not self._cursor.is_found:
            return ReadFailure("its last lines are no longer in the log", is_refusal=True)
        self._complete()  # two reads agree
        return None

    def _read_once(self) -> ReadFailure | None:
        """Read what a container that keeps running has written so far; it may write faster than that is read."""
        failure = self._read(follow=False, since=self._cursor.since)
        if failure is None:
            self._complete()
        return failure

    def _list_starts(self) -> list[str | None]:
        """List where to read from: at last, from the log's start if the node's clock may have been set back."""
        since, position = self._cursor.since, self._cursor.position
        is_ascending = position is not None and position.stamp <= self._tail_stamp
        return [since] if since is None or is_ascending else [since, None]

    def _read_tail(self) -> ReadFailure | None:
        """Compare the log's last line; of a line that the runtime has split, it is only the last fragments."""
        tail = bytearray()
        failure = self._stream.receive(tail.extend, tail=2)
        *others, last = (parse_line(raw) for raw in bytes(tail).removesuffix(b"\n").split(b"\n"))
        if failure is None and last:
            self._tail_stamp = last.stamp
            has_twin = any(other is not None and other.stamp == last.stamp for other in others)
            pending = parse_line(self._pending)
            if not has_twin and (last == pending if pending else self._cursor.is_last(last)):
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

        failure = self._stream.receive(take, follow=follow, since=since)
        rest = splitter.rest
        if failure is None and rest and parse_line(rest) is None:
            # A kubelet that cannot read on ends the body with its error.
            text = rest.decode("utf-8", "backslashreplace")
            return ReadFailure(f"the kubelet answered: {text}", is_refusal=True)
        self._pending = rest if failure is None and rest and parse_line(rest) != self._cursor.last else b""
        return failure

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
                f"The log of container {self._container} may have a gap between {before.stamp}Z and {line.stamp}Z."
            )
        if self._writer.write(line):
            self._written = self._cursor.position

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
        return self._ended.is_set() and time.monotonic() - self._stream.last_activity > self._times.give_up

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
                f"Cannot read the log of container {self._container} now: {failure.text}. It is tried again."
            )
        self._closed.wait(max(failure.retry_after_s, longest * random.uniform(0.1, 1)))

    def _describe_missing(self, why: str) -> str:
        position = self._written
        where = f"after {position.stamp}Z" if position else "from its start"
        return f"The log of container {self._container} may be incomplete {where}: {why}."


def join_all(followers: Sequence[LogFollower], timeout_s: float) -> bool:
    """Wait for the threads of followers, and return whether all have ended.

    Those that are late write no further line, and say so.
    """
    deadline = time.monotonic() + timeout_s
    while alive := [each for each in followers if each.is_alive]:
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            break
        for each in alive:
            each.wait(min(remaining, 1) / len(alive))
    for each in alive:
        each.give_up(timeout_s)
    return not alive
