"""lifecycle.quota_wait: wait for the quota and then for a node, with one timeout for both."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowRescheduleException
from kubernetes.client import ApiException

from kpo_platform.airflow.operators.lifecycle import quota_wait
from kpo_platform.diagnosis.cause import Cause, Outlook
from kpo_platform.finding import Finding, Fix, ObjectRef
from unit.support.task_restarts import ForgetfulStore, Store

FULL = 'pods "x" is forbidden: exceeded quota: team-quota, requested: pods=1, used: pods=2, limited: pods=2'
POD: Any = object()


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
        stop_signal=SimpleNamespace(sleep=lambda seconds: quota_wait.time.sleep(seconds)),
        patience=SimpleNamespace(call_s=0.0),
        log=log,
        log_lines=lines,
    )


def build_context(store: Store | None = None, attempt: int = 1, reschedules: int = 0) -> Any:
    ti = SimpleNamespace(try_number=attempt)
    return {"ti": ti, "task_state_store": store, "task_reschedule_count": reschedules}


def build_pod(created: float, attempt: int = 1) -> Any:
    labels, time = {"try_number": str(attempt)}, datetime.fromtimestamp(created, UTC)
    return SimpleNamespace(metadata=SimpleNamespace(labels=labels, creation_timestamp=time))


def defer_once(store: Store, **context: Any) -> Any:
    """Run a deferrable task into the exhausted quota; return its reschedule or failure."""
    waiting = build_operator([build_rejection(403, FULL)], deferrable=True)
    with pytest.raises((AirflowRescheduleException, quota_wait.QuotaTimeout)) as ended:
        quota_wait.create_within_quota(waiting, POD, build_context(store, **context))
    return ended.value


def test_exhausted_quota_makes_the_task_wait_and_log(clock: Clock):
    waiting = build_operator([build_rejection(403, FULL), build_rejection(403, FULL), POD])
    assert quota_wait.create_within_quota(waiting, POD, build_context()) is POD
    sentence = (
        "The quota of team 'alpha' does not admit the pod now: waiting to create it, {} of 25 s so far. "
        f"Kubernetes API: {FULL}"
    )
    assert (waiting.log_lines, clock.now) == ([sentence.format(0), sentence.format(10)], 1020.0)


def test_quota_that_is_not_yet_counted_makes_the_task_wait(clock: Clock):
    new = 'pods "work" is forbidden: status unknown for quota: team, resources: pods'
    waiting = build_operator([build_rejection(403, new), POD])
    assert quota_wait.create_within_quota(waiting, POD, build_context()) is POD
    assert (waiting.log_lines[0].endswith(f"Kubernetes API: {new}"), clock.now) == (True, 1010.0)


def test_wait_ends_at_the_schedule_timeout(clock: Clock):
    with pytest.raises(quota_wait.QuotaTimeout) as timeout:
        quota_wait.create_within_quota(build_operator([build_rejection(403, FULL)] * 9), POD, build_context())
    assert str(timeout.value) == (
        "The pod was not created: the quota of team 'alpha' did not admit it for 25 s (schedule_timeout_seconds, by "
        "default the team's policy.roomTimeout). Wait for other tasks of the team, use a smaller size, or ask the "
        f"platform team for a larger quota. Kubernetes API: {FULL}"
    )
    assert clock.now == 1025.0


def test_cause_of_the_refusal_is_in_the_log_and_first_in_the_error(clock: Clock):
    waiting = build_operator([build_rejection(403, FULL)] * 9)
    with pytest.raises(quota_wait.QuotaTimeout) as timeout:
        quota_wait.create_within_quota(waiting, POD, build_context(), lambda _: build_cause("waits"))
    told = "The quota is full. Wait. [KPO-ADM101: docs/troubleshooting.md#kpo-adm101]"
    late = (
        "The pod was not created: the quota of team 'alpha' did not admit it for 25 s (schedule_timeout_seconds, by "
        "default the team's policy.roomTimeout)."
    )
    assert str(timeout.value) == f"{told} {late}"
    wait = "The quota of team 'alpha' does not admit the pod now: waiting to create it, 0 of 25 s so far."
    assert waiting.log_lines[0] == f"{wait} {told}"


def test_pod_that_can_never_fit_into_the_quota_fails_at_once(clock: Clock):
    rejection = build_rejection(403, FULL)
    with pytest.raises(ApiException) as refused:
        quota_wait.create_within_quota(
            build_operator([rejection]), POD, build_context(), lambda _: build_cause("final")
        )
    assert (refused.value, clock.now) == (rejection, 1000.0)


def build_cause(outlook: Outlook) -> Cause:
    about = ObjectRef("ResourceQuota", "team-quota", "team-alpha")
    return Cause(Finding("KPO-ADM101", "error", about, "The quota is full", (FULL,), Fix("Wait.")), outlook)


def test_deferrable_task_reschedules_and_keeps_its_deadline(clock: Clock):
    store = Store()
    assert isinstance(defer_once(store), AirflowRescheduleException)
    clock.sleep(30)
    assert isinstance(defer_once(store, reschedules=1), quota_wait.QuotaTimeout)
    assert isinstance(defer_once(store, attempt=2), AirflowRescheduleException)


def test_attempts_get_rarer_in_a_long_wait(clock: Clock):
    waiting = build_operator([build_rejection(403, FULL)] * 60 + [POD])
    waiting.schedule_timeout_seconds = 86400
    quota_wait.create_within_quota(waiting, POD, build_context())
    waited = [int(line.partition("create it, ")[2].partition(" of")[0]) for line in waiting.log_lines]
    pauses = [later - earlier for earlier, later in pairwise(waited)]
    assert (pauses[:10], pauses[-20:], sorted(pauses)) == ([10] * 10, [60] * 20, pauses)


def test_wait_for_quota_shortens_the_wait_for_a_node(clock: Clock):
    waiting = build_operator([build_rejection(403, FULL), POD])
    quota_wait.create_within_quota(waiting, POD, build_context())
    assert waiting.schedule_timeout_seconds == 15

    store = Store()
    assert isinstance(defer_once(store), AirflowRescheduleException)
    clock.sleep(20)
    rescheduled = build_operator([POD], deferrable=True)
    quota_wait.create_within_quota(rescheduled, POD, build_context(store, reschedules=1))
    assert rescheduled.schedule_timeout_seconds == 5


def test_pod_that_is_created_at_once_waits_the_whole_timeout_without_asking_airflow(clock: Clock):
    class UnusedStore(Store):
        def get(self, *_: Any) -> Any:
            raise AssertionError

    created = build_operator([POD])
    quota_wait.create_within_quota(created, POD, build_context(UnusedStore()))
    assert created.schedule_timeout_seconds == 25


@pytest.mark.parametrize(
    ("created", "attempt", "remaining"),
    [(990.0, 1, 190), (900.0, 1, 100), (800.0, 1, 60), (1200.0, 1, 200), (990.0, 2, 200)],
    ids=["ten-seconds-ago", "a-while-ago", "long-ago", "by-a-clock-that-is-ahead", "in-another-try"],
)
def test_pod_of_an_earlier_process_has_waited_since_its_creation(
    clock: Clock, created: float, attempt: int, remaining: int
):
    reattached = build_operator([])
    reattached.schedule_timeout_seconds = 200
    pod = build_pod(created, attempt)
    quota_wait.shorten_schedule_timeout(reattached, build_context(Store(), reschedules=1), pod)
    assert reattached.schedule_timeout_seconds == remaining


def test_pod_of_an_earlier_process_has_waited_since_its_try_met_the_full_quota(clock: Clock):
    store = Store()
    defer_once(store)
    clock.sleep(20)
    reattached = build_operator([])
    reattached.schedule_timeout_seconds = 200
    quota_wait.shorten_schedule_timeout(reattached, build_context(store, reschedules=2), build_pod(clock.now - 3))
    assert reattached.schedule_timeout_seconds == 180


def test_store_that_does_not_tell_the_wait_for_quota_is_logged(clock: Clock):
    class BrokenStore(Store):
        def get(self, *_: Any) -> Any:
            raise OSError("no answer")

    lines: list[str] = []
    reattached = build_operator([])
    reattached.schedule_timeout_seconds = 200
    reattached.log.warning = lambda text, *values: lines.append(text % values)
    quota_wait.shorten_schedule_timeout(reattached, build_context(BrokenStore(), reschedules=1), build_pod(990))
    assert (reattached.schedule_timeout_seconds, lines) == (
        190,
        ["Cannot read since when the task has waited for quota: no answer"],
    )


@pytest.mark.parametrize("failures", [1, 100])
@pytest.mark.parametrize("deferrable", [True, False])
def test_store_that_fails_does_not_restart_or_lose_the_deadline(clock: Clock, deferrable: bool, failures: int):
    store = ForgetfulStore()
    defer_once(store)
    clock.sleep(20)
    store.failures = failures
    restarted = build_operator([build_rejection(403, FULL)] * 4, deferrable=deferrable)
    restarted.log.warning = lambda *_: None
    with pytest.raises(quota_wait.QuotaTimeout):
        quota_wait.create_within_quota(restarted, POD, build_context(store, reschedules=1))
    assert clock.now == (1030 if failures == 1 else 1045)
    assert store["kpo_platform_waits_for_quota"]["since"] == 1000


def test_replacement_of_a_disrupted_pod_waits_the_whole_timeout(clock: Clock):
    store = Store()
    defer_once(store)
    clock.sleep(30)
    quota_wait.restart_clock(build_context(store, reschedules=1))
    assert isinstance(defer_once(store, reschedules=1), AirflowRescheduleException)


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
