"""lifecycle.pod_updates: how often a task looks at its pod."""

from __future__ import annotations

import threading
from time import monotonic
from types import SimpleNamespace
from typing import Any

import pytest

from kpo_platform.airflow.operators.lifecycle import pod_updates
from kpo_platform.airflow.operators.lifecycle.bell import Bell
from kpo_platform.airflow.operators.lifecycle.patience import Patience
from kpo_platform.airflow.operators.lifecycle.pod_updates import PollInterval
from kpo_platform.airflow.operators.lifecycle.pod_wait import wait_for_end
from kpo_platform.airflow.operators.lifecycle.stop_signal import StopSignal
from kpo_platform.pod.state import PodState
from unit.support.virtual_time import LogLines, VirtualTime


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> VirtualTime:
    virtual = VirtualTime()
    monkeypatch.setattr(pod_updates, "time", SimpleNamespace(monotonic=virtual.clock))
    return virtual


def operator(*set_names: str, startup: float = 1, running: float = 1) -> Any:
    values = {"startup_check_interval_seconds": startup, "base_container_status_polling_interval": running}
    return SimpleNamespace(set_names=frozenset(set_names), **values)


def count_looks(interval: PollInterval, time: VirtualTime, seconds: float, **stage: bool) -> int:
    end, looks = time.now + seconds, 0
    while time.now < end:
        time.sleep(interval.choose(**{"is_scheduled": True, "has_started": True, **stage}))
        looks += 1
    return looks


def test_pod_that_waits_is_looked_at_less_and_less(time: VirtualTime):
    interval = PollInterval(operator())
    first = {"is_scheduled": False, "has_started": False}
    assert [count_looks(interval, time, seconds, **first) for seconds in (10, 90, 3600)] == [10, 25, 360]
    assert interval.choose(is_scheduled=True, has_started=False) == 1


def test_pod_that_runs_is_looked_at_less_and_less(time: VirtualTime):
    interval = PollInterval(operator())
    assert [count_looks(interval, time, seconds) for seconds in (60, 240, 3600)] == [60, 98, 720]


def test_intervals_of_the_author_stay(time: VirtualTime):
    both = ("startup_check_interval_seconds", "base_container_status_polling_interval")
    interval = PollInterval(operator(*both, startup=30, running=20))
    assert [count_looks(interval, time, 3600, has_started=value) for value in (False, True)] == [120, 180]


@pytest.mark.parametrize("names", [(), ("base_container_status_polling_interval",)])
def test_end_of_a_log_shortens_the_next_three_intervals(time: VirtualTime, names: tuple[str, ...]):
    interval = PollInterval(operator(*names, running=20))
    count_looks(interval, time, 3600)
    interval.hurry()
    long = 20 if names else 5
    assert [interval.choose(is_scheduled=True, has_started=True) for _ in range(5)] == [1, 1, 1, long, long]


def test_short_interval_of_the_author_is_not_lengthened_at_the_end_of_a_log(time: VirtualTime):
    interval = PollInterval(operator("base_container_status_polling_interval", running=0.5))
    interval.hurry()
    assert interval.choose(is_scheduled=True, has_started=True) == 0.5


def test_end_of_a_log_causes_a_look_at_once():
    pod = SimpleNamespace(has_left_pending=True, outcome=None, state=PodState(), version_of_creation="", refreshed=0)
    news = Bell()

    def refresh() -> None:
        pod.refreshed, pod.outcome = pod.refreshed + 1, "ended"

    pod.refresh, pod.refresh_with_version = refresh, lambda: ""
    threading.Timer(0.1, news.ring).start()
    logs = SimpleNamespace(update=lambda: None, news=news)
    task = operator("base_container_status_polling_interval", running=600)
    task.stop_signal, task.log, task.patience = StopSignal(), LogLines(), Patience(3600, LogLines())
    started_at, starts = monotonic(), []
    wait_for_end(task, *(None, pod, logs), on_start=lambda: starts.append("started"))  # type: ignore[arg-type]
    assert (monotonic() - started_at < 60, pod.refreshed, starts) == (True, 1, ["started"])
