"""Follow the log of a container in a thread while the task waits for its pod."""

from __future__ import annotations

import contextvars
import random
import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from kubernetes.client import ApiClient

from kpo_platform.airflow.operators.lifecycle.log_jumps import JumpDetector
from kpo_platform.airflow.operators.lifecycle.log_stream import FollowTimes, LogStream, ReadFailure
from kpo_platform.pod.cluster_text import sanitize
from kpo_platform.pod.log_lines import (
    LineSplitter,
    LogCursor,
    LogLine,
    LogPosition,
    Novelty,
    parse_line,
)

_REFUSALS_AFTER_END, _FAILURES_BEFORE_NOTICE = 5, 3
_ROUNDS_AT_ONCE = 3
"""Reads of an ended log with something new, until another waits: a log that always has more is no reason to hurry."""
_ROUND_S = 0.1
"""In which `join_all` waits for each thread in turn: no longer than the silence after which a follow is broken off."""


class LogFollower:
    """A thread that writes every line of a container's log once.

    It reads until the container has ended and its last line has been written, through cut connections, outages and
    rotation, and marks a gap that it cannot exclude. It never raises into the task and never keeps its process alive.
    To read the log of an ended container once, call `container_ended` before `start`.

    Args:
        client: returns the current client of the API server.
        writer: a `ContainerLogWriter`, called in the follower's thread.
        position: the last line that a former process wrote.
        on_pause: called when the API server has ended the log, as the container has probably ended, and at the
            thread's end, as the container may have been started again.
        on_unauthorized: called when the API server has rejected the client's credentials.

    Attributes:
        position: the last line that was written; None before the first.
    """

    def __init__(
        self,
        client: Callable[[], ApiClient],
        pod_name: str,
        namespace: str,
        container: str,
        writer: Any,
        *,
        position: LogPosition | None = None,
        times: FollowTimes | None = None,
        on_pause: Callable[[], object] = lambda: None,
        on_unauthorized: Callable[[], object] = lambda: None,
    ) -> None:
        self._container, self._writer, self._times = container, writer, times or FollowTimes()
        self._stream = LogStream(client, pod_name, namespace, container, self._times)
        self._on_pause, self._on_unauthorized = on_pause, on_unauthorized
        self._cursor, self._pending, self._jumps = LogCursor(position), b"", JumpDetector()
        self.position = position
        self._ended, self._closed, self._finished = threading.Event(), threading.Event(), threading.Event()
        self._is_stopped = self._is_complete = self._has_noticed = self._has_read = False
        self._failures, self._refusals, self._rounds, self._why = 0, 0, 0, ""
        context = contextvars.copy_context()  # Airflow's loggers take the fields of their lines from it
        self._thread = threading.Thread(target=context.run, args=(self._run,), name=f"log of {container}", daemon=True)

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs. Python 3.11 takes it for ended if a signal has interrupted its `join`."""
        return self._thread.ident is not None and not self._finished.is_set()

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
            self._stream.last_activity = max(self._stream.last_activity, time.monotonic())
            self._ended.set()

    def stop_following(self) -> None:
        """Read what is there now, then end. Call it for a container that keeps running."""
        self._is_stopped = True
        self.container_ended()
        self._stream.stop_following()

    def join(self, timeout_s: float) -> bool:
        """Wait as `join_all`."""
        return join_all([self], timeout_s)

    def wait(self, timeout_s: float) -> None:
        """Wait for the thread, and break a read that still follows in silence after the container's end."""
        if self.is_alive:
            is_breakable = self._ended.is_set() and not self._closed.is_set()
            self._finished.wait(min(timeout_s, self._times.end_silence) if is_breakable else timeout_s)
        if self._ended.is_set() and self._is_silent_for(self._times.end_silence):
            self._stream.stop_following()

    def give_up(self, timeout_s: float) -> None:
        """Write that the log was not read in time, and no further line."""
        self.close(self._describe_missing(self._why or f"it was not read within {timeout_s:g} s"))

    def close(self, notice: str = "") -> None:
        """Write no further line, except for a notice."""
        self._closed.set()
        self._ended.set()  # wakes up a thread that waits for it
        self._writer.close(notice)
        self._stream.close()

    def _run(self) -> None:
        try:
            while not self._ended.is_set():
                failure = self._read(follow=True)
                if failure is None:
                    self._on_pause()
                if self._ended.is_set():  # what is left is read at once, if the API server asks for no pause
                    self._closed.wait(failure.retry_after_s if failure is not None else 0)
                    break
                if failure is not None and self._is_hopeless(failure):
                    return
                self._pause(failure)
            self._failures = 0  # what failed before does not delay the rest
            while not self._closed.is_set():
                failure = self._finish()
                if self._is_complete or (failure is not None and self._is_hopeless(failure)):
                    return
                self._pause(failure)
        except Exception as error:  # the task must not fail for its log
            self._writer.write_notice(self._describe_missing(f"{type(error).__name__}: {sanitize(error)}"))
        finally:
            self._finished.set()
            self._on_pause()

    def _finish(self) -> ReadFailure | None:
        """Read the rest after the container's end, and prove that it is complete: by its last lines, or two reads.

        An end of the body proves nothing: the API server ends it also when its connection to the kubelet breaks. But a
        container that keeps running is read once: it may write faster than that is read.
        """
        is_first = not self._has_read and self._cursor.position is None  # the last line cannot be compared yet
        if not (self._is_stopped or is_first):
            failure = self._read_tail()
            if failure is not None or self._is_complete:
                return failure
        # If the node's clock may have been set back, the log is at last read from its start.
        for is_whole in [False] if self._is_stopped or self._cursor.is_ascending else [False, True]:
            before = (self._cursor.position, self._pending)
            failure = self._read(is_whole=is_whole)
            if failure is not None:
                return failure
            if not self._is_stopped and (is_first or before != (self._cursor.position, self._pending)):
                return None  # it is compared in the next round
        if not (self._is_stopped or self._cursor.is_found):
            return ReadFailure("its last lines are no longer in the log", is_refusal=True)
        self._complete()  # two reads agree
        return None

    def _read_tail(self) -> ReadFailure | None:
        """Compare the log's last lines; of a line that the runtime has split, they are only the last fragments."""
        tail = bytearray()
        failure = self._stream.receive(tail.extend, tail=self._cursor.tail_lines)
        if failure is None and self._cursor.is_at_end(bytes(tail), self._pending):
            self._complete()
        return failure

    def _complete(self) -> None:
        if self._pending:
            self._take([self._pending])
            self._pending = b""
        self._is_complete = True

    def _read(self, *, follow: bool = False, is_whole: bool = False) -> ReadFailure | None:
        """Read from the last line's second on, or the whole log, and write what is new."""
        splitter, since = LineSplitter(), None if is_whole else self._cursor.since
        self._cursor.begin_read()
        self._has_read = False

        def take(chunk: bytes) -> None:
            self._take(splitter.feed(chunk))

        failure = self._stream.receive(take, follow=follow, since=since)
        rest = splitter.rest
        if failure is None and rest and parse_line(rest) is None:
            # A kubelet that cannot read on ends the body with its error.
            text = sanitize(rest.decode("utf-8", "backslashreplace"))
            return ReadFailure(f"the kubelet answered: {text}", is_refusal=True)
        self._has_read = failure is None
        self._pending = rest if failure is None and rest and parse_line(rest) != self._cursor.last else b""
        return failure

    def _take(self, lines: Iterable[bytes]) -> None:
        """Write those lines that are new."""
        new: list[tuple[LogLine, LogPosition | None]] = []
        for raw in lines:
            line, before = parse_line(raw), self._cursor.position
            # Without a stamp, it is the end of a fragmented line from before sinceTime: the line has been written.
            novelty = Novelty.OLD if line is None else self._cursor.accept(line)
            if line is None or novelty is Novelty.OLD:
                continue
            is_jump = self._jumps.is_jump(line, len(raw))
            if (is_jump or novelty is Novelty.NEW_AFTER_GAP) and before is not None:
                self._write(new)
                new = []
                self._writer.write_notice(
                    f"The log of container {self._container} may have a gap between {before.stamp}Z and {line.stamp}Z."
                )
            new.append((line, self._cursor.position))
        self._write(new)

    def _write(self, new: Sequence[tuple[LogLine, LogPosition | None]]) -> None:
        if not new:
            return
        self._failures, self._has_noticed = 0, False
        for count in self._writer.write_lines([line for line, _ in new]):
            self.position = new[count - 1][1]

    def _is_hopeless(self, failure: ReadFailure) -> bool:
        """Whether to give up, and say so unless the container never had a log.

        After the end, nothing is expected if nothing was read for so long, as from a lost node.
        """
        has_ended = self._ended.is_set()
        if has_ended and failure.is_not_started and self._cursor.position is None:
            return True
        self._refusals += has_ended and failure.is_refusal
        is_given_up = has_ended and self._is_silent_for(self._times.give_up)
        if failure.is_final or is_given_up or self._refusals >= _REFUSALS_AFTER_END:
            self._writer.write_notice(self._describe_missing(failure.text))
            return True
        return False

    def _is_silent_for(self, seconds: float) -> bool:
        return time.monotonic() - self._stream.last_activity > seconds

    def _pause(self, failure: ReadFailure | None) -> None:
        """Wait before the next read, at most until the container's end unless the API server asks for it."""
        if failure is not None and failure.is_silence:
            return
        has_ended = self._ended.is_set()
        awaited = self._closed if has_ended else self._ended  # `close` sets both
        if failure is None and has_ended:
            self._rounds += 1
            if self._rounds < _ROUNDS_AT_ONCE:
                return
        self._failures += 1
        longest = min(self._times.longest_retry, self._times.retry * 2 ** min(self._failures - 1, 10))
        if failure is None or failure.is_not_started:
            awaited.wait(longest if failure or has_ended else max(longest, self._times.ended))
            return
        self._why = failure.text
        if failure.is_unauthorized:
            self._on_unauthorized()
        is_ending = has_ended and failure.is_refusal  # told by `_is_hopeless` within seconds
        if self._failures >= _FAILURES_BEFORE_NOTICE and not (self._has_noticed or is_ending):
            self._has_noticed = True
            self._writer.write_notice(
                f"Cannot read the log of container {self._container} now: {failure.text}. It is tried again."
            )
        self._closed.wait(failure.retry_after_s)
        awaited.wait(longest * random.uniform(0.1, 1) - failure.retry_after_s)

    def _describe_missing(self, why: str) -> str:
        where = f"after {self.position.stamp}Z" if self.position else "from its start"
        return f"The log of container {self._container} may be incomplete {where}: {why}."


def join_all(
    followers: Collection[LogFollower], timeout_s: float, meanwhile: Callable[[], object] = lambda: None
) -> bool:
    """Wait for the threads of followers, and return whether all have ended; call `meanwhile` ten times a second.

    Those that are late write no further line, and say so.
    """
    deadline = time.monotonic() + timeout_s
    while alive := [each for each in followers if each.is_alive]:
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            break
        for each in alive:
            each.wait(min(remaining, _ROUND_S) / len(alive))
        meanwhile()
    for each in alive:
        each.give_up(timeout_s)
    return not alive
