"""SIGTERM as a task's process meets it: remembered before the run, delayed during a creation, else an exception.

The end of ``execution_timeout``, SIGALRM, is delayed during a creation, too.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from airflow.sdk.execution_time import task_runner

from kpo_platform.airflow.operators.lifecycle.bell import Bell

_RESEND_DELAY_S = 0.2
_CHECK_INTERVAL_S = 0.2


class TaskStopped(BaseException):
    """SIGTERM reached the task. Derives from BaseException so ``except Exception`` does not catch it."""


class StopSignal:
    """Interrupts the run of a task by `TaskStopped` when SIGTERM arrives, at a moment at which nothing gets lost.

    Airflow calls ``on_kill`` in the signal's handler, and the supervisor kills the process five seconds later.
    """

    def __init__(self) -> None:
        self.is_requested = False
        self.is_listening = False
        self._holds = 0
        self._instead: Callable[[], object] | None = None

    @contextmanager
    def listen(self) -> Iterator[None]:
        """Let the signal interrupt what runs inside by TaskStopped, also one that came before."""
        self.is_listening = True
        try:
            self.check()
            yield
        finally:
            self.is_listening = False

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Delay SIGTERM and SIGALRM, because an interrupted request may still create a pod that no task knows."""
        self._holds += 1
        try:
            with _delay_alarm():
                yield
        finally:
            self._holds -= 1
            self.check()  # also after a refusal, which the caller may wait out

    def ignore(self, then: Callable[[], object]) -> None:
        """Let the signal interrupt nothing from now on, because the process has what no later one can get.

        If it comes, `then` is called once, at the signal or at the next check.
        """
        self.check()
        self._holds += 1
        self._instead = then

    def receive(self) -> None:
        """Take the signal in its handler.

        It is sent again shortly if a request to Airflow is pending: the next request would read its answer as its own.
        """
        self.is_requested = True
        if _is_asking_airflow():
            threading.Timer(_RESEND_DELAY_S, os.kill, (os.getpid(), signal.SIGTERM)).start()
        else:
            self.check()

    def check(self) -> None:
        """Raise TaskStopped if the signal has come and the run may be interrupted."""
        instead = self._instead if self.is_requested else None
        if instead is not None:
            self._instead = None
            instead()
        if self.is_requested and self.is_listening and not self._holds:
            raise TaskStopped

    def wait(self, bell: Bell, seconds: float) -> bool:
        """Wait for a bell, at most for these seconds, or until the signal comes; return whether it was rung."""
        end = time.monotonic() + seconds
        while (remaining := end - time.monotonic()) > 0:
            if bell.wait(min(remaining, _CHECK_INTERVAL_S)):
                return True
            self.check()
        return False

    def sleep(self, seconds: float) -> None:
        """Sleep, at most until the signal comes; Python continues to sleep after a handler that raises nothing."""
        end = time.monotonic() + seconds
        while (remaining := end - time.monotonic()) > 0:
            time.sleep(min(remaining, _CHECK_INTERVAL_S))
            self.check()


@contextmanager
def _delay_alarm() -> Iterator[None]:
    """Call the handler of SIGALRM, which raises Airflow's timeout, only when what runs inside has ended.

    A blocked signal (``pthread_sigmask``) would reach another thread, and the handler runs in the main thread then.
    """
    is_main = threading.current_thread() is threading.main_thread()  # no other thread may set a handler, or runs one
    handler = signal.getsignal(signal.SIGALRM) if is_main else None
    if not callable(handler):
        yield
        return
    arrived: list[FrameType | None] = []
    signal.signal(signal.SIGALRM, lambda _, frame: arrived.append(frame))
    try:
        yield
    finally:
        signal.signal(signal.SIGALRM, handler)
        if arrived:
            handler(signal.SIGALRM, arrived[0])


def _is_asking_airflow() -> bool:
    lock = getattr(getattr(task_runner, "SUPERVISOR_COMMS", None), "_thread_lock", None)
    return lock is not None and bool(lock.locked())
