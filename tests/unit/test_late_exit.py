"""airflow.workarounds.late_exit: a worker that waits only for the sockets of a task's process."""

from __future__ import annotations

import errno
import os
import selectors
import socket
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import psutil
import pytest
from airflow.sdk.execution_time import supervisor as worker
from airflow.sdk.execution_time.supervisor import ActivitySubprocess, PsutilTracker

from kpo_platform.airflow import workarounds
from kpo_platform.airflow.workarounds.late_exit import see_exit_at_once

HOUR_S, DEADLINE_S = 3600, 30


class Corrected(ActivitySubprocess):
    """Airflow's class with the correction, so that Airflow's own stays as it is."""


see_exit_at_once(SimpleNamespace(ActivitySubprocess=Corrected))
see_exit_at_once(SimpleNamespace(ActivitySubprocess=Corrected))


def watch(program: str) -> Corrected:
    """Start a process, and return the supervisor of it, which has no socket of the process left to wait for."""
    pid = os.posix_spawn("/bin/sh", ["sh", "-c", program], os.environ)  # Popen would wait for it, too
    return Corrected(
        id="task",
        pid=pid,
        stdin=MagicMock(),
        process=PsutilTracker(psutil.Process(pid)),
        process_log=MagicMock(),
        start_time=time.monotonic(),
        client=MagicMock(),
    )


def monitor(supervisor: Corrected) -> int | None:
    """Return the exit code that the supervisor has found before the deadline."""
    thread = threading.Thread(target=supervisor._monitor_subprocess, daemon=True)
    thread.start()
    thread.join(DEADLINE_S)
    return None if thread.is_alive() else supervisor._exit_code


@pytest.fixture(autouse=True)
def long_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a wait for the next heartbeat outlast the test."""
    monkeypatch.setattr(worker, "MIN_HEARTBEAT_INTERVAL", HOUR_S)


def test_exit_after_the_last_socket_is_seen_before_the_next_heartbeat():
    supervisor = watch("sleep 0.3; exit 3")
    assert (monitor(supervisor), dict(supervisor.selector.get_map())) == (3, {})


def test_socket_that_outlives_the_process_is_read_to_its_end():
    supervisor = watch("exit 4")
    ours, theirs = socket.socketpair()
    read: list[bytes] = []

    def handle(_: Any) -> bool:
        read.append(ours.recv(100))
        return bool(read[-1])

    supervisor._open_sockets[ours] = "logs"
    supervisor.selector.register(ours, selectors.EVENT_READ, (handle, supervisor._on_socket_closed))
    theirs.send(b"last line")
    theirs.close()
    assert (monitor(supervisor), b"".join(read)) == (4, b"last line")


def test_process_that_the_kernel_does_not_watch_is_seen_as_airflow_sees_it(monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: int) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr("os.pidfd_open", refuse)
    monkeypatch.setattr(worker, "MIN_HEARTBEAT_INTERVAL", 0.1)
    supervisor = watch("sleep 0.3; exit 5")
    assert monitor(supervisor) == 5


def test_worker_is_corrected_after_its_import(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("KPO_PLATFORM_CONTRACT", "/nowhere/contract.json")
    airflows: Any = ActivitySubprocess._monitor_subprocess
    monkeypatch.setattr(ActivitySubprocess, "_monitor_subprocess", airflows)
    callbacks: dict[str, Callable[[], None]] = {}
    monkeypatch.setattr(workarounds, "call_after_import", callbacks.__setitem__)
    workarounds.install()
    callbacks[workarounds.WORKER_MODULE]()
    assert ActivitySubprocess._monitor_subprocess is not airflows


def test_other_airflow_runs_as_it_is():
    with pytest.raises(AttributeError):
        see_exit_at_once(SimpleNamespace(ActivitySubprocess=SimpleNamespace()))
