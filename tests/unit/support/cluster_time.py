"""Time of a task's process that passes in its fake cluster."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from kpo_platform.airflow.operators.lifecycle import (
    patience,
    pod_logs,
    pod_wait,
    quota_wait,
    run,
    stop_signal,
    task_result,
)
from kpo_platform.airflow.operators.lifecycle.log_follower import LogFollower
from unit.support.cluster_server import Cluster
from unit.support.log_following import TIMES

EPOCH_S = datetime(2026, 1, 1, tzinfo=UTC).timestamp()


def replace_time(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the waits of a task pass in the cluster's time."""

    def sleep(signal: Any, seconds: float, until: Callable[[], bool] | None = None) -> None:
        signal.check()
        end = cluster.now + seconds
        while cluster.now < end and not (until and until()):
            cluster.sleep(min(1, end - cluster.now) if until else seconds)
            if cluster.followers:
                time.sleep(0.001)  # lets the followers of logs run
            signal.check()

    clock = SimpleNamespace(time=lambda: EPOCH_S + cluster.now, monotonic=lambda: cluster.now, sleep=cluster.sleep)
    monkeypatch.setattr(stop_signal.StopSignal, "sleep", sleep)
    for module in (quota_wait, pod_wait, task_result):
        monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(run, "Patience", partial(patience.Patience, clock=lambda: cluster.now, random=lambda: 1.0))


def collect_followers(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the threads that follow logs, so that a test can end those of a killed process."""

    def follow(*args: Any, **options: Any) -> LogFollower:
        cluster.followers.append(LogFollower(*args, times=TIMES, **options))
        return cluster.followers[-1]

    monkeypatch.setattr(pod_logs, "LogFollower", follow)


def end_follower(follower: LogFollower) -> None:
    """End the thread of a process that was killed."""
    follower.close()
