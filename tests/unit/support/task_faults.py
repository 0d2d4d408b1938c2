"""Faults of a task's process: killed while its pod runs, and stopped by its user."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cached_property
from typing import Any

import pytest
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator

from kpo_platform.airflow.operators.lifecycle.pod_watch import PodWatch, WatchEnd
from unit.support.cluster_server import Cluster
from unit.support.http_server import Answer
from unit.support.pod_store import refuse
from unit.support.task_process import Killed, Run, Task

FORBIDDEN = refuse(403, "Forbidden", 'pods "p" is forbidden: User "u" cannot get resource "pods"')
"""The API server's refusal of an account that may not read pods."""


def kill_while_running(task: Task) -> None:
    """Start the task's pod, and kill the process while the program runs."""
    task.cluster.act("WATCH pods", lambda: setattr(task.steps, "kill_after", task.steps.count + 1))
    assert isinstance(task.run().error, Killed)
    task.steps.kill_after = 0


def stop_while_running(task: Task, seconds: float = 5) -> Run:
    """Run the task, and stop it as its user does by a clear."""
    task.state = "restarting"
    at(task.cluster.now + seconds, task.cluster, lambda pod: task.operator.on_kill())
    run = task.run()
    task.state = "running"
    return run


def clear(task: Task) -> Run:
    """Run the first process after a user's clear of a task that does not run."""
    task.max_tries = task.try_number + 1
    return task.retry()


def at(seconds: float, cluster: Cluster, act: Callable[[Any], object]) -> None:
    """Do something once, at a time of the cluster."""
    done: list[bool] = []

    def tick() -> None:
        if cluster.now >= seconds and not done:
            done.append(True)
            act(next(iter(cluster.pods.values()), None))

    cluster.on_tick = tick


def hold_back_watches(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, lasts_s: float, error: Exception
) -> list[PodWatch]:
    """Let nothing of a watch come, and end it after these seconds with an error; return the watches."""
    watches: list[PodWatch] = []
    ends: dict[PodWatch, float] = {}

    def watch(self: PodWatch) -> WatchEnd:
        self.version = "1000000000"  # the time of the cluster does not wait for it
        watches.append(self)
        ends[self] = cluster.now + lasts_s
        while cluster.now < ends[self] and not self._is_closed:
            time.sleep(0.0002)
        raise error

    def wait_for_ends() -> None:
        while any(cluster.now >= end and each.end is None for each, end in list(ends.items())):
            time.sleep(0.0002)

    monkeypatch.setattr(PodWatch, "_watch", watch)
    cluster.on_tick = wait_for_ends
    return watches


def answer_looks(seconds: float, cluster: Cluster, answer: Answer, times: int = 1) -> None:
    """Break the watch of the pod at a time of the cluster, and answer the next looks at the pod like this."""

    def act(pod: Any) -> None:
        cluster.add("GET pods", answer, times)
        assert cluster.watches is not None
        cluster.watches.cut()

    at(seconds, cluster, act)


def fail_lookups(
    monkeypatch: pytest.MonkeyPatch, errors: list[Exception], when: Callable[[], bool] = lambda: True
) -> list[Exception]:
    """Let each reading of the task's connection fail with one of these errors; return those that are left."""
    hook = vars(KubernetesPodOperator)["hook"]
    read: Any = hook.func if isinstance(hook, cached_property) else hook.fget

    def fail_or_read(operator: Any) -> Any:
        if errors and when():
            raise errors.pop()
        return read(operator)

    replaced = cached_property(fail_or_read)
    replaced.__set_name__(KubernetesPodOperator, "hook")
    monkeypatch.setattr(KubernetesPodOperator, "hook", replaced)
    return errors
