"""Time of a task's process that passes in its fake cluster."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from kpo_platform.airflow.operators.lifecycle import (
    pod_diagnosis,
    pod_logs,
    pod_updates,
    pod_wait,
    quota_wait,
    run,
    start_check,
    stop_signal,
    task_reader,
    task_result,
    task_state,
)
from kpo_platform.airflow.operators.lifecycle.bell import Bell
from kpo_platform.airflow.operators.lifecycle.log_follower import LogFollower
from kpo_platform.airflow.operators.lifecycle.patience import Patience
from kpo_platform.airflow.operators.lifecycle.pod_watch import PodWatch
from unit.support.cluster_server import Cluster
from unit.support.log_following import TIMES

EPOCH_S = datetime(2026, 1, 1, tzinfo=UTC).timestamp()


def replace_time(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the waits of a task pass in the cluster's time."""

    def sleep(signal: Any, seconds: float) -> None:
        signal.check()
        cluster.sleep(seconds)
        signal.check()

    def wait(signal: Any, bell: Bell, seconds: float) -> bool:
        signal.check()
        end = cluster.now + seconds
        settle(cluster)
        while cluster.now < end and not bell.is_rung:
            cluster.sleep(min(1, end - cluster.now))
            settle(cluster)
            signal.check()
        return bell.is_rung and bell.wait(0)

    clock = SimpleNamespace(time=lambda: EPOCH_S + cluster.now, monotonic=lambda: cluster.now, sleep=cluster.sleep)
    monkeypatch.setattr(stop_signal.StopSignal, "sleep", sleep)
    monkeypatch.setattr(stop_signal.StopSignal, "wait", wait)
    for module in (quota_wait, pod_diagnosis, pod_wait, pod_updates, start_check, task_reader, task_result):
        monkeypatch.setattr(module, "time", clock)
    for module in (run, task_state):
        monkeypatch.setattr(module, "Patience", partial(Patience, clock=lambda: cluster.now, random=lambda: 1.0))


def settle(cluster: Cluster) -> None:
    """Let the threads of the task take what has happened in the cluster."""
    if cluster.followers:
        time.sleep(0.001)
    deadline = time.monotonic() + 5
    while behind := [watch for watch in cluster.watchers if is_behind(cluster, watch)]:
        time.sleep(0.001)
        if time.monotonic() > deadline:
            cluster.watchers = [watch for watch in cluster.watchers if watch not in behind]  # they get no answer


def is_behind(cluster: Cluster, watch: PodWatch) -> bool:
    """Tell whether a watch that can has not taken the last event of its pod."""
    assert cluster.watches is not None
    return watch.end is None and int(watch.version) < cluster.watches.last_version(watch.name)


def collect_watchers(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the watches, which a test waits for, and ends with their process."""

    def watch(*args: Any, **options: Any) -> PodWatch:
        cluster.watchers.append(PodWatch(*args, **options))
        return cluster.watchers[-1]

    monkeypatch.setattr(pod_updates, "PodWatch", watch)


def collect_followers(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the threads that follow logs, so that a test can end those of a killed process."""

    def follow(*args: Any, **options: Any) -> LogFollower:
        cluster.followers.append(LogFollower(*args, times=TIMES, **options))
        return cluster.followers[-1]

    monkeypatch.setattr(pod_logs, "LogFollower", follow)


def end_threads(cluster: Cluster) -> None:
    """End the threads of processes that were killed."""
    for thread in (*cluster.followers, *cluster.watchers):
        thread.close()
    cluster.watchers.clear()
