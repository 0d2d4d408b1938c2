"""The watch of a pod in a sync run: what it sees, and what the task does without it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from urllib3.exceptions import ProtocolError, ReadTimeoutError

from unit.support.cluster_server import Cluster, Rule
from unit.support.fake_kubelet import Program
from unit.support.http_server import Fault
from unit.support.pod_store import refuse
from unit.support.task_faults import FORBIDDEN, at, hold_back_watches, kill_while_running
from unit.support.task_process import StartTask, Task

NO_WATCH = refuse(403, "Forbidden", 'pods is forbidden: User "u" cannot watch resource "pods" in API group ""')
TOLD = (
    'warning: Cannot watch pod {}: HTTP 403, pods is forbidden: User "u" cannot watch resource "pods" in API group '
    '"". The task polls it instead, and notices its end later. '
    "Give the task's connection this right."
)


def count(cluster: Cluster, text: str) -> int:
    return sum(text in request for request in cluster.requests)


def describe_work(cluster: Cluster) -> list[str]:
    return [line.split(" ", 1)[1] for line in cluster.ledger]


ONCE = ["started", "finished with 0"]


@pytest.fixture
def task(fake_cluster: Cluster, start_task: StartTask) -> Task:
    """A task whose program runs for 200 s."""
    fake_cluster.programs["base"] = Program(runs_s=200)
    return start_task(log_events_on_failure=False)


def test_long_program_is_watched_by_one_request(task: Task, fake_cluster: Cluster):
    run = task.run()
    assert (run.outcome, fake_cluster.requests) == (
        None,
        ["POST pods", f"WATCH pods/{task.pod}", f"DELETE pods/{task.pod}"],
    )


def test_end_is_seen_when_it_comes(task: Task, fake_cluster: Cluster):
    task.run()
    assert 200 <= fake_cluster.now <= 203


def test_missing_right_to_watch_is_told_once_and_the_pod_is_looked_at(task: Task, fake_cluster: Cluster):
    fake_cluster.add("WATCH", NO_WATCH, times=1000)
    run = task.run()
    assert (run.outcome, run.log.count(TOLD.format(task.pod))) == (None, 1)
    assert (count(fake_cluster, "WATCH") <= 4, 100 < count(fake_cluster, "GET pods/") < 150) == (True, True)


def test_right_that_comes_back_is_used(task: Task, fake_cluster: Cluster):
    fake_cluster.add("WATCH", NO_WATCH)
    assert task.run().outcome is None
    assert (count(fake_cluster, "WATCH"), 50 < count(fake_cluster, "GET pods/") < 70) == (2, True)


def test_watch_after_a_restart_of_the_api_server_begins_at_the_version_of_a_list(task: Task, fake_cluster: Cluster):
    assert fake_cluster.watches is not None
    at(50, fake_cluster, lambda pod: fake_cluster.watches.restart())  # type: ignore[union-attr]
    run = task.run()
    pod = f"pods/{task.pod}"
    assert (run.outcome, [line for line in run.log if "Cannot watch" in line]) == (None, [])
    assert fake_cluster.requests == ["POST pods", f"WATCH {pod}", "GET pods", f"WATCH {pod}", f"DELETE {pod}"]


def test_pod_that_is_taken_up_is_watched_from_the_version_of_a_list(task: Task, fake_cluster: Cluster):
    kill_while_running(task)
    assert fake_cluster.watches is not None
    fake_cluster.watches.restart()
    run = task.run()
    assert (run.outcome, run.requests) == (None, ["GET POD", "GET pods", "WATCH POD", "DELETE POD"])
    assert not [line for line in run.log if "Cannot watch" in line]


def test_pod_is_looked_at_before_each_further_watch(
    fake_cluster: Cluster, start_task: StartTask, monkeypatch: pytest.MonkeyPatch
):
    """A cluster that was restored from a backup is silent until it comes to the version from which it is watched."""
    watches = fake_cluster.watches
    assert watches is not None
    fake_cluster.programs["base"] = Program(runs_s=200)
    record, stream = watches.record, watches.stream

    def end_cleanly(name: str, version: int) -> Iterator[bytes]:
        with suppress(ConnectionResetError):
            yield from stream(name, version)

    monkeypatch.setattr(watches, "record", lambda pods: record(pods) if fake_cluster.now < 10 else None)
    monkeypatch.setattr(watches, "stream", end_cleanly)
    at(270, fake_cluster, lambda pod: watches.cut())
    assert (start_task(get_logs=False).run().outcome, describe_work(fake_cluster)) == (None, ONCE)
    assert 270 <= fake_cluster.now < 3600


def test_missing_right_to_list_leaves_the_looks(task: Task, fake_cluster: Cluster):
    kill_while_running(task)
    fake_cluster.rules.append(Rule("GET pods", lambda request: None if "pods/" in request.path else NO_WATCH, 1000))
    run = task.run()
    assert (run.outcome, describe_work(fake_cluster), count(fake_cluster, "WATCH")) == (None, ONCE, 1)


def test_end_of_the_log_leads_to_a_look_if_the_watch_says_nothing(task: Task, fake_cluster: Cluster):
    fake_cluster.add("WATCH", Fault.HANG)
    task.arguments |= {"base_container_status_polling_interval": 600}
    assert (task.run().outcome, describe_work(fake_cluster)) == (None, ONCE)
    assert fake_cluster.now < 210


@pytest.mark.parametrize(
    "answer",
    [refuse(404, "NotFound", "no such path"), refuse(405, "MethodNotAllowed", "no"), (501, "not implemented")],
)
def test_server_that_knows_no_watches_is_asked_once_a_minute(answer: Any, task: Task, fake_cluster: Cluster):
    fake_cluster.add("WATCH", answer, times=1000)
    assert (task.run().outcome, count(fake_cluster, "WATCH") <= 4, describe_work(fake_cluster)) == (None, True, ONCE)


@pytest.mark.parametrize(
    "answer",
    [
        refuse(500, "x", "etcd"),
        refuse(429, "x", "busy"),
        refuse(410, "Expired", "too old resource version"),
        (200, "<html>maintenance</html>\n"),
        (200, "[1]\n"),
        (200, '{"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old"}}\n'),
        (200, '{"type": "MODIFIED", "obj'),
        (200, ""),
        Fault.CLOSE,
        Fault.CUT,
    ],
)
def test_watch_that_fails_is_repeated_less_and_less(answer: Any, task: Task, fake_cluster: Cluster):
    fake_cluster.add("WATCH", answer, times=1000)
    run = task.run()
    assert (run.outcome, describe_work(fake_cluster), fake_cluster.pods) == (None, ONCE, {})
    assert (count(fake_cluster, "WATCH") <= 10, fake_cluster.now < 210) == (True, True)


def test_watch_that_fails_three_times_is_told_once(task: Task, fake_cluster: Cluster):
    fake_cluster.add("WATCH", refuse(500, "x", "etcd"), times=1000)
    run = task.run()
    told = f"warning: Cannot watch pod {task.pod}: HTTP 500, etcd. The task polls it instead"
    assert [line.startswith(told) for line in run.log if "Cannot watch" in line] == [True]


@pytest.mark.parametrize(("asked_s", "pause_s"), [("30", 30), ("86400", 60)])
def test_watch_and_looks_wait_as_long_as_the_api_server_asks(
    asked_s: str, pause_s: int, task: Task, fake_cluster: Cluster
):
    tries: list[float] = []
    busy = (*refuse(429, "x", "busy"), {"Retry-After": asked_s})
    fake_cluster.rules.append(Rule("WATCH", lambda request: tries.append(fake_cluster.now) or busy, 1000))
    fake_cluster.programs["base"] = Program(runs_s=100)
    assert task.run().outcome is None
    pauses = [after - before for before, after in itertools.pairwise(tries)]
    assert (min(pauses) >= pause_s, count(fake_cluster, "GET pods/") <= 10) == (True, True)


@pytest.mark.parametrize("kind", ["DELETED", "MODIFIED"])
def test_event_without_a_pod_does_not_tell_that_the_pod_is_gone(kind: str, task: Task, fake_cluster: Cluster):
    fake_cluster.add("WATCH", (200, f'{{"type": "{kind}", "object": {{"message": "maintenance"}}}}\n'), times=3)
    assert (task.run().outcome, describe_work(fake_cluster)) == (None, ONCE)


def break_watches(cluster: Cluster, *times: float) -> None:
    """Break the watch at each of these times of the cluster."""
    due = sorted(times)

    def tick() -> None:
        if due and cluster.now >= due[0]:
            due.pop(0)
            assert cluster.watches is not None
            time.sleep(0.05)  # a new watch has arrived by now
            cluster.watches.cut()
            deadline = time.monotonic() + 1
            while any(each.end is None for each in cluster.watchers) and time.monotonic() < deadline:
                time.sleep(0.001)

    cluster.on_tick = tick


def test_watch_that_breaks_is_followed_by_a_list_and_a_watch(task: Task, fake_cluster: Cluster):
    break_watches(fake_cluster, 50, 100)
    assert (task.run().outcome, describe_work(fake_cluster)) == (None, ONCE)
    pod = f"pods/{task.pod}"
    again = ["GET pods", f"WATCH {pod}"]
    assert fake_cluster.requests == ["POST pods", f"WATCH {pod}", *again, *again, f"DELETE {pod}"]


HELD_BACK = {
    "silent": (90, ReadTimeoutError(None, "", "Read timed out."), "no answer in time"),  # type: ignore[arg-type]
    "cut": (60, ProtocolError("Response ended prematurely"), "Response ended prematurely"),
}


@pytest.mark.parametrize(("lasts_s", "error", "said"), HELD_BACK.values(), ids=HELD_BACK)
@pytest.mark.parametrize("runs_s", [45, 400])
def test_pod_of_a_watch_that_is_held_back_is_read_every_five_seconds(
    runs_s: int, lasts_s: int, error: Exception, said: str, fake_cluster: Cluster, task: Task, monkeypatch: Any
):
    fake_cluster.programs["base"] = Program(runs_s=runs_s)
    hold_back_watches(fake_cluster, monkeypatch, lasts_s, error)
    task.arguments |= {"get_logs": False}  # the end of the log would wake the task
    run = task.run()
    assert (run.outcome, fake_cluster.now - runs_s <= 6, count(fake_cluster, "GET pods/") <= runs_s / 5 + 10) == (
        None,
        True,
        True,
    )
    told = f"warning: Cannot watch pod {task.pod}: {said}. The task polls it instead, and notices its end later. "
    assert [line.startswith(told) for line in run.log if "watch" in line] == [True] * (runs_s > 4 * lasts_s)


@pytest.mark.parametrize(("lasts_s", "error"), [each[:2] for each in HELD_BACK.values()], ids=HELD_BACK)
def test_running_pod_that_is_taken_up_is_read_from_the_second_watch_on(
    lasts_s: int, error: Exception, fake_cluster: Cluster, task: Task, monkeypatch: Any
):
    kill_while_running(task)
    hold_back_watches(fake_cluster, monkeypatch, lasts_s, error)
    task.arguments |= {"get_logs": False}
    assert (task.run().outcome, fake_cluster.now <= 207, count(fake_cluster, "GET pods/") < 40) == (None, True, True)


def test_pod_is_read_until_a_watch_reports_after_one_that_has_reported_nothing(task: Task, fake_cluster: Cluster):
    break_watches(fake_cluster, 63, 75)  # bookmarks come at 60 and 120
    run = task.run()
    looks = count(fake_cluster, "GET pods/")
    assert (run.outcome, count(fake_cluster, "WATCH"), 8 <= looks <= 12) == (None, 3, True)


@pytest.mark.parametrize("end", [60, 180])
def test_watch_outlasts_an_outage(end: float, task: Task, fake_cluster: Cluster):
    fake_cluster.down = (50, end)
    run = task.run()
    assert (run.outcome, describe_work(fake_cluster), fake_cluster.pods) == (None, ONCE, {})


def test_pod_that_ends_during_an_outage_is_seen_after_it(task: Task, fake_cluster: Cluster):
    fake_cluster.down = (100, 300)
    assert (task.run().outcome, describe_work(fake_cluster)) == (None, ONCE)
    assert 300 <= fake_cluster.now < 320


def test_pod_that_is_deleted_and_gone_restarts_the_task(task: Task, fake_cluster: Cluster):
    at(50, fake_cluster, lambda pod: setattr(pod, "deleted_at", fake_cluster.now))
    first, second = task.run_to_end()
    assert (first.outcome, second.outcome) == ("rescheduled", None)
    assert describe_work(fake_cluster) == ["started", "interrupted", *ONCE]


def test_pod_that_is_replaced_by_another_one_of_its_name_is_gone(task: Task, fake_cluster: Cluster):
    def replace(pod: Any) -> None:
        pod.pod["metadata"] = {**pod.pod["metadata"], "uid": "another"}

    at(50, fake_cluster, replace)
    first = task.run()
    assert (first.outcome, [*fake_cluster.pods]) == ("rescheduled", [task.pod])


@pytest.mark.parametrize("limit_s", [7, 95])
def test_limit_of_the_start_does_not_count_a_silent_outage(limit_s: int, task: Task, fake_cluster: Cluster):
    """The watch says nothing, and the look before the limit waits until the API server answers."""
    fake_cluster.prepare = lambda pod: setattr(pod, "has_room", False)
    at(limit_s + 40, fake_cluster, lambda pod: setattr(pod, "has_room", True))
    fake_cluster.rules.append(
        Rule("GET pods/", lambda request: Fault.CLOSE if 1 < fake_cluster.now < limit_s + 60 else None, 10_000)
    )
    task.arguments |= {"schedule_timeout_seconds": limit_s}
    assert (task.run().outcome, describe_work(fake_cluster)) == (None, ONCE)


def test_pod_that_may_be_watched_but_not_read_is_watched(task: Task, fake_cluster: Cluster):
    fake_cluster.add("GET pods/", FORBIDDEN, times=1000)
    assert (task.run().outcome, describe_work(fake_cluster)) == (None, ONCE)
