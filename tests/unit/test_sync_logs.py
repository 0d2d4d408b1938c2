"""The log of a task over several processes, and how often they look at the pod."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from unit.support.cluster_server import Cluster
from unit.support.fake_kubelet import Fragment, Program, stamp
from unit.support.task_ends import EXITS, raise_in, start_last_try
from unit.support.task_faults import kill_while_running
from unit.support.task_process import StartTask, Task

CONTINUES = "The log of container base continues after 2026-01-01T00:00:{}Z."
REPEATED = (
    "The log of container base is written from its start: it is not known how much of it an earlier process of this "
    "try has written."
)


def write_every_second(cluster: Cluster) -> Callable[[], None]:
    """Let every program write a line each second."""
    seen: set[float] = set()

    def write() -> None:
        for pod in cluster.pods.values():
            base = pod.container("base")
            if base.is_running and cluster.now not in seen:
                seen.add(cluster.now)
                base.log.add(Fragment(f"{stamp(cluster.now)[:-1]}.5Z", b"line %d" % cluster.now))

    return write


def shut_down(task: Task, at_s: float) -> None:
    """Let the worker shut down at a time of the cluster."""
    act = task.cluster.on_tick

    def tick() -> None:
        act()
        if task.cluster.now == at_s:
            task.operator.stop_signal.is_requested = True

    task.cluster.on_tick = tick


def read_program(run: Any) -> list[str]:
    return [line.removeprefix("[base] ") for line in run.log if line.startswith("[base] ")]


@pytest.fixture
def task(fake_cluster: Cluster, start_task: StartTask) -> Task:
    """A task whose program writes a line every second for 30 s."""
    fake_cluster.programs["base"] = Program(runs_s=30, lines=(b"first",))
    fake_cluster.on_tick = write_every_second(fake_cluster)
    return start_task(log_events_on_failure=False)


EXPECTED = ["first", *(f"line {second}" for second in range(1, 31))]


@pytest.mark.parametrize("at_s", [2, 9, 29])
def test_log_continues_where_the_worker_shut_down(task: Task, at_s: float):
    shut_down(task, at_s)
    first, second = task.run_to_end()
    written, rest = read_program(first), read_program(second)
    assert (first.outcome, second.outcome, written + rest) == ("rescheduled", None, EXPECTED)
    last = f"{int(written[-1].removeprefix('line ')):02}.500000000" if len(written) > 1 else "01.000000000"
    assert [line for line in second.log if "The log of" in line] == [CONTINUES.format(last)] * bool(written)


def test_log_continues_after_several_shutdowns(task: Task):
    for at_s in (5, 18, 29):
        shut_down(task, at_s)
    runs = task.run_to_end()
    assert [run.outcome for run in runs] == ["rescheduled", "rescheduled", "rescheduled", None]
    assert [line for run in runs for line in read_program(run)] == EXPECTED


def test_log_of_a_pod_that_ended_after_the_shutdown_is_written_to_its_end(task: Task):
    shut_down(task, 20)
    first = task.run()
    task.cluster.sleep(100)
    second = task.run()
    assert (second.outcome, read_program(first) + read_program(second)) == (None, EXPECTED)


def test_restart_before_the_first_line_tells_nothing(fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.programs["base"] = Program(runs_s=30)
    fake_cluster.prepare = lambda pod: setattr(pod, "has_room", False)
    task = start_task()
    shut_down(task, 5)
    first = task.run()
    next(iter(fake_cluster.pods.values())).has_room = True
    second = task.run()
    assert (first.outcome, read_program(first), read_program(second)) == ("rescheduled", [], ["hello"])
    assert not [line for line in second.log if "The log of" in line]


def test_restart_during_the_creation_tells_nothing(fake_cluster: Cluster, start_task: StartTask):
    task = start_task()
    fake_cluster.act("POST pods", lambda: setattr(task.operator.stop_signal, "is_requested", True))
    first, second = task.run_to_end()
    assert (first.outcome, read_program(second), fake_cluster.created) == ("rescheduled", ["hello"], 1)
    assert not [line for line in second.log if "The log of" in line]


def test_process_after_a_killed_one_says_that_it_repeats_the_log(task: Task):
    kill_while_running(task)
    run = task.run()
    assert (read_program(run), run.log.count(REPEATED)) == (EXPECTED, 1)


def test_next_try_writes_the_whole_log_into_its_own(task: Task):
    shut_down(task, 10)
    assert task.run().outcome == "rescheduled"
    run = task.retry()
    assert read_program(run) == EXPECTED
    assert not [line for line in run.log if "The log of" in line]


def test_positions_that_cannot_be_stored_or_read_do_not_fail_the_task(task: Task, monkeypatch: pytest.MonkeyPatch):
    assert task.store is not None
    get, put = task.store.get, task.store.set

    def refuse(key: str) -> None:
        if "log_positions" in key:
            raise RuntimeError("refused")

    monkeypatch.setattr(task.store, "get", lambda key: refuse(key) or get(key))
    monkeypatch.setattr(task.store, "set", lambda key, value: refuse(key) or put(key, value))
    shut_down(task, 10)
    first, second = task.run_to_end()
    assert (first.outcome, second.outcome, read_program(second)) == ("rescheduled", None, EXPECTED)
    assert "warning: Cannot store how far the log was written: refused" in first.log
    assert "warning: Cannot read how far the log was written: refused" in second.log


def test_task_without_output_sends_five_requests(fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.programs["base"] = Program(runs_s=60, lines=())
    run = start_task().run()
    assert (run.outcome, run.requests, len(fake_cluster.log_queries)) == (
        None,
        ["POST pods", "WATCH POD", "DELETE POD"],
        2,
    )


def count(cluster: Cluster, text: str) -> int:
    return sum(text in request for request in cluster.requests)


def test_long_program_that_is_not_watched_is_looked_at_every_five_seconds(fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.watches, fake_cluster.programs["base"] = None, Program(runs_s=900)
    start_task(get_logs=False, startup_check_interval_seconds=None).run()
    assert 60 + 97 + 110 < count(fake_cluster, "GET pods/") < 60 + 97 + 130


def test_pod_that_waits_for_a_node_unwatched_is_looked_at_every_ten_seconds(
    fake_cluster: Cluster, start_task: StartTask
):
    fake_cluster.watches, fake_cluster.prepare = None, lambda pod: setattr(pod, "has_room", False)
    run = start_task(startup_check_interval_seconds=None, schedule_timeout_seconds=1000).run()
    assert "found no node within 1000 s" in str(run.error)
    assert 120 < count(fake_cluster, "GET pods/") < 130
    assert 140 < count(fake_cluster, "GET events") < 160


@pytest.mark.parametrize("limit_s", [7, 95])
def test_limit_of_the_start_is_not_exceeded(limit_s: int, fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.prepare = lambda pod: setattr(pod, "has_room", False)
    run = start_task(startup_check_interval_seconds=None, schedule_timeout_seconds=limit_s).run()
    assert f"found no node within {limit_s} s" in str(run.error)
    assert limit_s <= fake_cluster.now < limit_s + 0.2


def test_intervals_of_the_author_are_honoured(fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.watches, fake_cluster.programs["base"] = None, Program(runs_s=600)
    fake_cluster.prepare = lambda pod: setattr(pod, "has_room", False)

    def give_room() -> None:
        for pod in fake_cluster.pods.values():
            pod.has_room = fake_cluster.now >= 600

    fake_cluster.on_tick = give_room
    intervals = {"startup_check_interval_seconds": 60, "base_container_status_polling_interval": 30}
    start_task(get_logs=False, **intervals).run()
    assert (count(fake_cluster, "GET events"), count(fake_cluster, "GET pods/")) == (10, 11 + 19)


def test_starting_is_called_for_a_pod_that_ends_between_two_looks(fake_cluster: Cluster, start_task: StartTask):
    from airflow.providers.cncf.kubernetes.callbacks import KubernetesPodOperatorCallback

    phases: list[str] = []

    class Callback(KubernetesPodOperatorCallback):
        @staticmethod
        def on_pod_starting(*, pod: Any, **_: Any) -> None:
            phases.append(pod.status.phase)

    fake_cluster.watches, fake_cluster.programs["base"] = None, Program(runs_s=1)
    assert start_task(callbacks=Callback, startup_check_interval_seconds=20).run().outcome is None
    assert phases == ["Succeeded"]


@pytest.mark.parametrize(("error", "said"), [*EXITS, (GeneratorExit(), "GeneratorExit")])
@pytest.mark.parametrize("name", ["progress_callback", "log_formatter"])
def test_exit_in_the_thread_of_the_log_fails_the_task_and_loses_no_line(
    name: str, error: BaseException, said: str, fake_cluster: Cluster, start_task: StartTask
):
    def format_line(container: str, line: str) -> str:
        raise error

    fake_cluster.programs["base"] = Program(runs_s=20, lines=(b"one", b"two"))
    by_name: dict[str, Any] = {"log_formatter": format_line, "progress_callback": raise_in(name, error)}
    arguments = {"callbacks" if name == "progress_callback" else name: by_name[name]}
    run = start_last_try(start_task, **arguments).run()
    fake_cluster.sleep(5)
    failure = f"The task's {name} failed: {said}"
    assert (run.outcome, fake_cluster.pods) == (f"AirflowException: {failure}", {})
    assert [line for line in run.log if "[base]" in line or failure in line] == [
        f"error: {failure}",
        "[base] one",
        "[base] two",
    ]
