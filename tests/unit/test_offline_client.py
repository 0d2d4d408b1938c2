"""The parent of the process that reads DAG files, with a child that only waits."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kpo_platform.offline import client

CHILD = """
import json
import signal
import sys
import time

signal.signal(signal.SIGINT, lambda *_: print(json.dumps({"event": "interrupted"}), flush=True))
json.load(sys.stdin)
print(json.dumps({"event": "started"}), flush=True)
time.sleep(5)
"""


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a child that reports signals, in a process with the usual handler of Ctrl-C."""
    (tmp_path / "kpo_platform").mkdir()
    (tmp_path / "kpo_platform" / "__init__.py").touch()
    (tmp_path / "kpo_platform" / "offline.py").write_text(CHILD)
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield {**os.environ, "PYTHONPATH": str(tmp_path)}
    signal.signal(signal.SIGINT, handler)


def interrupt_another_thread() -> None:
    """Send Ctrl-C to this process as if it arrived just before the main thread waits, which does not end the wait."""
    time.sleep(0.3)  # now the main thread waits
    signal.pthread_kill(threading.get_ident(), signal.SIGINT)


class InterruptedAtDestruction:
    """An object during whose destruction Ctrl-C arrives; Python drops the exceptions of a destructor."""

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)


def interrupt_a_destructor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send Ctrl-C while the main thread discards an object, which it does when it asks for the time."""
    clock = time.time
    pending = [InterruptedAtDestruction()]
    monkeypatch.setattr("time.time", lambda: (pending.clear(), clock())[1])


def test_ctrl_c_just_before_a_wait_is_heard_each_time(environment: dict[str, str]):
    events: list[Any] = []

    def interrupt(event: Any) -> None:
        events.append(event)
        threading.Thread(target=interrupt_another_thread).start()

    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        client._run_child({}, environment, None, interrupt)
    assert (events, time.monotonic() - start < 4) == (["started", "interrupted"], True)  # the child sleeps 5 s


def test_ctrl_c_during_a_destructor_is_heard(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch):
    events: list[Any] = []

    def interrupt(event: Any) -> None:
        events.append(event)
        if event == "started":
            interrupt_a_destructor(monkeypatch)
        else:
            threading.Thread(target=interrupt_another_thread).start()

    with pytest.raises(KeyboardInterrupt):
        client._run_child({}, environment, None, interrupt)
    assert events == ["started", "interrupted"]


@pytest.mark.parametrize(
    "leftover",
    [
        "time.sleep(60)",
        "subprocess.Popen(['sleep', '60'])",
        "subprocess.Popen(['sleep', '60'], start_new_session=True)",
    ],
    ids=["the child itself", "a process of its own", "a process with a session of its own"],
)
def test_answer_is_returned_although_something_of_a_dag_file_runs_on(
    environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, leftover: str
):
    monkeypatch.setattr(client, "_EXIT_SECONDS", 0.3)
    answer = f"import json, subprocess, time; print(json.dumps({{'result': 1}}), flush=True); {leftover}"
    (tmp_path / "kpo_platform" / "offline.py").write_text(answer)
    start = time.monotonic()
    assert client._run_child({}, environment, None, lambda _: None) == {"result": 1}
    assert time.monotonic() - start < 20  # what runs on sleeps 60 s
