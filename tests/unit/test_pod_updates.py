"""lifecycle.pod_updates: a wait ends when another thread has news."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest

from kpo_platform.airflow.operators.lifecycle import pod_updates
from kpo_platform.airflow.operators.lifecycle.bell import Bell
from kpo_platform.airflow.operators.lifecycle.pod_updates import PodUpdates
from kpo_platform.airflow.operators.lifecycle.stop_signal import StopSignal
from kpo_platform.pod.state import PodState


class SilentWatch:
    """A watch that works and reports nothing."""

    has_worked, end, version = True, None, ""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def start(self) -> None:
        pass

    def take(self) -> tuple[None, bool]:
        return None, False


@pytest.fixture
def pod() -> Any:
    return SimpleNamespace(
        state=PodState("p", "n"),
        outcome=None,
        version_of_creation="",
        has_left_pending=True,
        refresh_with_version=lambda: "1",
    )


def test_news_of_a_log_between_two_watches_end_the_wait(pod: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pod_updates, "PodWatch", SilentWatch)
    monkeypatch.setattr(pod_updates, "read_client", lambda _: None)
    bell = Bell()
    updates = PodUpdates(SimpleNamespace(stop_signal=StopSignal(), set_names=()), pod, bell)
    updates._watches_from = time.monotonic() + 0.6
    threading.Timer(0.2, bell.ring).start()
    start = time.monotonic()
    updates.wait(20)
    assert time.monotonic() - start < 10
