"""lifecycle.quota_wait: wait while the quota is exhausted, and for no other reason."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowRescheduleException
from kubernetes.client import ApiException

from kpo_platform.airflow.operators.lifecycle import quota_wait

FULL = 'pods "x" is forbidden: exceeded quota: team-quota, requested: pods=1, used: pods=2, limited: pods=2'
POD: Any = object()


class Store(dict[str, Any]):
    """Airflow's task state store."""

    def set(self, key: str, value: Any) -> None:
        self[key] = value


class Clock:
    """A clock that advances only in sleep()."""

    def __init__(self) -> None:
        self.now = 1000.0

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    simulated_clock = Clock()
    monkeypatch.setattr(quota_wait, "time", simulated_clock)
    return simulated_clock


def build_rejection(status: int, message: str) -> ApiException:
    error = ApiException(status=status, reason="Forbidden")
    error.body = json.dumps({"message": message})
    return error


def build_operator(answers: list[Any], *, deferrable: bool = False) -> Any:
    """Create an operator for which the cluster has these answers: exceptions or the created pod."""

    def create(pod: Any) -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    lines: list[str] = []
    log = SimpleNamespace(info=lambda text, *values: lines.append(text % values))
    return SimpleNamespace(
        create_pod=create,
        team="alpha",
        deferrable=deferrable,
        schedule_timeout_seconds=25,
        quota_wait_start=None,
        log=log,
        log_lines=lines,
    )


def build_context(store: Store | None = None, attempt: int = 1) -> Any:
    return {"ti": SimpleNamespace(try_number=attempt), "task_state_store": store}


def test_exhausted_quota_makes_the_task_wait_and_log(clock: Clock):
    waiting = build_operator([build_rejection(403, FULL), build_rejection(403, FULL), POD])
    assert quota_wait.create_within_quota(waiting, POD, build_context()) is POD
    sentence = (
        "The quota of team 'alpha' is exhausted: waiting to create the pod, {} of 25 s so far. API server: " + FULL
    )
    assert (waiting.log_lines, clock.now) == ([sentence.format(0), sentence.format(10)], 1020.0)


def test_wait_ends_at_the_schedule_timeout(clock: Clock):
    with pytest.raises(
        quota_wait.QuotaTimeout, match=r"team 'alpha' was exhausted for 25 s \(schedule_timeout_seconds\)"
    ):
        quota_wait.create_within_quota(build_operator([build_rejection(403, FULL)] * 9), POD, build_context())
    assert clock.now == 1025.0


def test_deferrable_task_reschedules_and_keeps_its_deadline(clock: Clock):
    store = Store()
    with pytest.raises(AirflowRescheduleException):
        quota_wait.create_within_quota(
            build_operator([build_rejection(403, FULL)], deferrable=True), POD, build_context(store)
        )
    clock.sleep(30)
    with pytest.raises(quota_wait.QuotaTimeout):
        quota_wait.create_within_quota(
            build_operator([build_rejection(403, FULL)], deferrable=True), POD, build_context(store)
        )
    with pytest.raises(AirflowRescheduleException):
        quota_wait.create_within_quota(
            build_operator([build_rejection(403, FULL)], deferrable=True), POD, build_context(store, attempt=2)
        )


@pytest.mark.parametrize(
    "refused",
    [
        build_rejection(403, 'pods "x" is forbidden: violates PodSecurity "restricted:latest"'),
        build_rejection(403, 'pods is forbidden: User "u" cannot create resource "pods"'),
        build_rejection(403, 'pods "x" is forbidden: failed quota: team-quota: must specify limits.cpu'),
        build_rejection(500, FULL),
        ApiException(status=403, reason="Forbidden"),
    ],
)
def test_other_rejection_is_raised_at_once(clock: Clock, refused: ApiException):
    with pytest.raises(ApiException) as raised:
        quota_wait.create_within_quota(build_operator([refused]), POD, build_context())
    assert raised.value is refused
