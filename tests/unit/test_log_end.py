"""lifecycle.log_follower at the end of a log, of its process, and of its reader's patience."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from kubernetes.client import ApiClient, Configuration

from kpo_platform.airflow.operators.lifecycle.log_follower import LogFollower, join_all
from kpo_platform.airflow.operators.lifecycle.log_stream import LogStream
from kpo_platform.pod.log_lines import LogLine, LogPosition
from unit.support.log_following import DAY, TIMES, Follow, Written, end, wait_for
from unit.support.log_server import Cut, Fragment, LogServer, Refuse, at, serving_log

KUBELET_404 = Refuse(404, "the server could not find the requested resource ( pods/log p-1)")


@contextmanager
def writing(server: LogServer) -> Iterator[None]:
    """Let the container write all the time."""
    is_over = threading.Event()

    def write() -> None:
        number = 0
        while not is_over.is_set():
            number += 1
            server.log.add((f"{number // 100000:02}.{number % 100000:09}", b"again"))
            time.sleep(0.0005)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join(10)


# A container that keeps running when the task ends


def test_silent_running_container_is_left_at_once(server: LogServer, written: Written, follow: Follow):
    follower = follow()
    wait_for(lambda: len(server.log.queries) == 1)
    time.sleep(0.05)  # the request waits for headers, which come with the first line
    started_at = time.monotonic()
    follower.stop_following()
    assert follower.join(20)
    assert (time.monotonic() - started_at < 3, written.texts) == (True, [])


def test_busy_running_container_is_left_at_once(server: LogServer, written: Written, follow: Follow):
    with writing(server):
        follower = follow(silence=1)
        wait_for(lambda: len(written.texts) > 10)
        started_at = time.monotonic()
        follower.stop_following()
        assert follower.join(20)
        assert time.monotonic() - started_at < 3
    assert {*written.texts} == {"again"}


@pytest.mark.parametrize("pause_s", [0, 0.001, 0.01, 0.05])
def test_stop_while_a_read_begins_is_not_missed(server: LogServer, written: Written, follow: Follow, pause_s: float):
    server.log.add(("01.0", b"a"))
    with writing(server):
        for _ in range(10):
            follower = follow(silence=30)
            time.sleep(pause_s)
            follower.stop_following()
            assert follower.join(5)


# The last lines


@pytest.mark.parametrize("text", [b"same", b"other"])
def test_last_line_with_the_stamp_of_the_one_before_is_not_lost(
    server: LogServer, written: Written, follow: Follow, text: bytes
):
    server.log.faults.append(Cut(len(at("05.0") + " same\n"), is_clean=True))
    server.log.add(("05.0", b"same"), ("05.0", text))
    end(server, follow())
    assert written.texts == ["same", text.decode()]


@pytest.mark.parametrize("text", [b"same", b"other"])
def test_next_process_takes_up_between_lines_of_one_stamp(
    server: LogServer, written: Written, follow: Follow, text: bytes
):
    server.log.add(("05.0", b"same"), ("05.0", text))
    assert follow(position=LogPosition(f"{DAY}05.000000000", 1), is_ended=True).join(10)
    assert written.texts == [text.decode()]


def test_next_process_takes_up_after_lines_out_of_order(server: LogServer, written: Written, follow: Follow):
    server.log.add(("05.2", b"stderr"), ("05.1", b"stdout"))
    follower = follow()
    wait_for(lambda: len(written.texts) == 2)
    follower.close()
    follower.wait(10)
    written.is_closed = False
    server.log.add(("05.3", b"next"))
    assert follow(position=follower.position, is_ended=True).join(10)
    assert written.texts == ["stderr", "stdout", "next"]


def test_long_last_line_does_not_cause_a_read_of_the_whole_log(server: LogServer, written: Written, follow: Follow):
    part = b"x" * 16384
    server.log.add(("01.0", b"first"), Fragment(at("09.0"), part, True), Fragment(at("09.1"), part, True))
    server.log.add(Fragment(at("09.2"), b"end"))
    follower = follow()
    wait_for(lambda: len(written.texts) == 2)
    end(server, follower)
    assert [len(text) for text in written.texts] == [5, 32771]
    assert [query.get("sinceTime") for query in server.log.queries] == [None, None, f"{DAY}08Z"]


# The end of the process


def test_line_that_is_not_written_when_its_process_stops_is_left_to_the_next(
    server: LogServer, written: Written, follow: Follow
):
    held, is_reached = threading.Event(), threading.Event()

    def hold(line: LogLine) -> None:
        if line.text == "b":
            is_reached.set()
            held.wait(10)

    written.before = hold
    server.log.add(("01.0", b"a"), ("02.0", b"b"), ("03.0", b"c"))
    follower = follow()
    assert is_reached.wait(10)
    follower.close()
    follower.wait(0.1)
    assert follower.position == LogPosition(f"{DAY}01.000000000", 1)
    held.set()
    follower.wait(10)
    assert (follower.position, written.texts) == (LogPosition(f"{DAY}01.000000000", 1), ["a"])


@pytest.mark.parametrize("fault", [Refuse(500), Cut(len(at("01.0") + " a\n"), is_clean=True), None])
def test_closed_follower_ends_also_while_it_waits(
    server: LogServer, written: Written, follow: Follow, fault: Refuse | Cut | None
):
    server.log.add(("01.0", b"a"))
    server.log.faults.append(fault)
    follower = follow(retry=600, longest_retry=600)
    wait_for(lambda: len(server.log.queries) == 1 and (isinstance(fault, Refuse) or written.lines == ["a"]))
    time.sleep(0.05)
    follower.close()
    follower.wait(5)
    assert (follower.is_alive, written.lines) == (False, [] if isinstance(fault, Refuse) else ["a"])


# Several containers


def test_late_followers_share_one_deadline_and_each_says_so(server: LogServer):
    client = ApiClient(Configuration(host=server.url))
    writers = [Written(), Written(), Written()]
    names = ["one", "two", "three"]
    followers = [
        LogFollower(lambda: client, "p-1", "n", name, writer, times=TIMES)
        for name, writer in zip(names, writers, strict=True)
    ]
    for follower in followers:
        follower.start()
    started_at = time.monotonic()
    assert not join_all(followers, 0.5)
    assert time.monotonic() - started_at < 2
    assert [writer.texts for writer in writers] == [
        [f"!The log of container {name} may be incomplete from its start: it was not read within 0.5 s."]
        for name in names
    ]


def test_followers_whose_containers_end_together_are_waited_for_together(
    server: LogServer, written: Written, follow: Follow
):
    server.log.add(("01.0", b"a"))
    followers = [follow(end_silence=0.1) for _ in range(10)]
    wait_for(lambda: len(written.texts) == 10)
    for follower in followers:
        follower.container_ended()  # the kubelet ends the connection later
    started_at = time.monotonic()
    assert join_all(followers, 20)
    assert (time.monotonic() - started_at < 0.7, written.texts) == (True, ["a"] * 10)


# Answers


def test_kubelet_that_does_not_know_its_pod_yet_is_asked_again(server: LogServer, written: Written, follow: Follow):
    server.log.add(("01.0", b"a"), ("02.0", b"b"))
    server.log.faults.extend([Cut(len(at("01.0") + " a\n")), *[KUBELET_404] * 6])
    follower = follow()
    wait_for(lambda: len(server.log.queries) > 7)
    server.log.add(("03.0", b"c"))
    end(server, follower)
    assert written.lines == ["a", "b", "c"]


def test_next_read_has_the_new_credentials(server: LogServer, written: Written):
    clients = [ApiClient(Configuration(host="http://127.0.0.1:9")), ApiClient(Configuration(host=server.url))]
    server.log.add(("01.0", b"a"))
    follower = LogFollower(lambda: clients[0], "p-1", "n", "base", written, times=TIMES)
    follower.start()
    wait_for(lambda: bool(written.texts))
    assert "HTTPConnection(host='127.0.0.1', port=9)" in written.texts[0]
    clients.pop(0)
    wait_for(lambda: "a" in written.texts)
    end(server, follower)
    assert written.lines == ["a"]


def test_end_of_a_stream_is_reported_and_a_failure_is_not(server: LogServer, written: Written):
    client, pauses = ApiClient(Configuration(host=server.url)), []
    server.log.add(("01.0", b"a"), ("02.0", b"b"))
    server.log.faults.extend([Refuse(500), Cut(len(at("01.0") + " a\n"), is_clean=True)])
    follower = LogFollower(
        *(lambda: client, "p-1", "n", "base", written), times=TIMES, on_pause=lambda: pauses.append([*written.texts])
    )
    follower.start()
    wait_for(lambda: written.texts == ["a", "b"])
    end(server, follower)
    assert pauses[0] == ["a"]


def test_end_of_the_thread_is_reported_after_it(server: LogServer, written: Written):
    client, states = ApiClient(Configuration(host=server.url)), []
    server.log.add(("01.0", b"a"))
    follower = LogFollower(
        *(lambda: client, "p-1", "n", "base", written),
        times=TIMES,
        on_pause=lambda: states.append(follower.has_finished),
    )
    follower.start()
    wait_for(lambda: written.texts == ["a"])
    end(server, follower)
    wait_for(lambda: states[-1:] == [True])


def test_followers_of_two_logs_do_not_break_each_other(server: LogServer, written: Written, follow: Follow):
    with serving_log() as other:
        client, texts = ApiClient(Configuration(host=other.url)), Written()
        sidecar = LogFollower(lambda: client, "p-1", "n", "sidecar", texts, times=TIMES)
        sidecar.start()
        follower = follow()
        server.log.add(("01.0", b"a"))
        wait_for(lambda: written.texts == ["a"] and bool(other.log.queries))
        sidecar.stop_following()
        assert sidecar.join(5)
        server.log.add(("02.0", b"b"))
        wait_for(lambda: written.texts == ["a", "b"])
        end(server, follower)
    assert (written.texts, texts.texts) == (["a", "b"], [])


def test_wait_that_a_signal_interrupts_leaves_the_log_to_the_next_one(
    server: LogServer, written: Written, follow: Follow
):
    held, seen = threading.Event(), threading.Event()

    def hold(line: LogLine) -> None:
        seen.set()
        held.wait(10)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    written.before = hold
    server.log.add(("01.0", b"a"), ("02.0", b"b"))
    follower, former = follow(is_ended=True), signal.signal(signal.SIGALRM, interrupt)
    try:
        assert seen.wait(10)
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(KeyboardInterrupt):
            follower.join(10)
    finally:
        signal.signal(signal.SIGALRM, former)
    threading.Timer(0.2, held.set).start()
    assert (follower.join(10), written.texts) == (True, ["a", "b"])


def test_read_that_is_broken_off_is_no_end_of_the_log(server: LogServer):
    stream = LogStream(lambda: ApiClient(Configuration(host=server.url)), "p-1", "n", "base", TIMES)
    stream.stop_following()
    assert stream.receive(lambda chunk: None, follow=True) is not None
