"""lifecycle.log_follower against an endpoint that behaves as API server and kubelet do."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import replace

import pytest

from kpo_platform.pod.log_lines import LogLine, LogPosition
from unit.support.log_following import DAY, Follow, Written, end, wait_for
from unit.support.log_server import Cut, Fragment, LogServer, Refuse, at


def test_lines_are_written_while_the_container_runs(server: LogServer, written: Written, follow: Follow):
    follower = follow()
    for number in range(3):
        server.log.add((f"0{number}.000000001", f"line {number}".encode()))
        wait_for(lambda: len(written.texts) == number + 1)  # noqa: B023 - called at once
    end(server, follower)
    assert written.texts == ["line 0", "line 1", "line 2"]
    assert server.log.queries == [
        {"container": "base", "timestamps": "true", "follow": "true"},
        {"container": "base", "timestamps": "true", "tailLines": "2"},
    ]
    assert follower.position == LogPosition(f"{DAY}02.000000001", 1)


def test_lines_without_chunks_are_written_as_they_come(server: LogServer, written: Written, follow: Follow):
    server.log.has_chunks = False
    server.log.add(("01.0", b"a"))
    follower = follow()
    wait_for(lambda: written.texts == ["a"])
    server.log.add(("02.0", b"b"))
    wait_for(lambda: written.texts == ["a", "b"])
    end(server, follower)
    assert (written.texts, len(server.log.queries)) == (["a", "b"], 2)


@pytest.mark.parametrize("is_clean", [False, True], ids=["reset", "clean end"])
@pytest.mark.parametrize("size", range(1, 125, 11))
def test_cut_body_loses_and_doubles_nothing(
    server: LogServer, written: Written, follow: Follow, size: int, is_clean: bool
):
    server.log.faults.extend([Cut(size, is_clean), Cut(size, is_clean), None, Cut(size, is_clean)])
    server.log.add(("05.999999999", b"same"), ("05.999999999", b"same"), ("06.000000000", b"same"))
    follower = follow()
    wait_for(lambda: len(written.lines) == 3)
    server.log.add(("06.000000001", b"end"))
    end(server, follower)
    assert written.lines == ["same", "same", "same", "end"]


@pytest.mark.parametrize("cuts", [1, 2, 3])
def test_cut_reads_after_the_end_are_repeated(server: LogServer, written: Written, follow: Follow, cuts: int):
    server.log.add(("01.0", b"first"), ("02.0", b"second, which is cut"))
    server.log.faults.extend([Cut(0, True), *[Cut(50, True)] * cuts])
    assert follow(is_ended=True).join(10)
    assert written.texts == ["first", "second, which is cut"]


def test_log_without_trailing_newline_is_complete(server: LogServer, written: Written, follow: Follow):
    server.log.add(("01.0", b"first"), Fragment(at("02.0"), b"last", is_partial=True))
    end(server, follow())
    assert written.texts == ["first", "last"]


def test_long_line_of_several_fragments_is_one_line(server: LogServer, written: Written, follow: Follow):
    part = b"x" * 16384
    long = [Fragment(at("01.9"), part, True), Fragment(at("03.1"), part, True), Fragment(at("05.1"), b"end")]
    server.log.faults.extend([None, Cut(20000), Cut(10)])
    follower = follow()
    server.log.add(*long[:2])
    time.sleep(0.05)
    server.log.add(long[2], ("05.2", b"next"), *(replace(part, stamp=at("06.1")) for part in long))
    wait_for(lambda: len(written.lines) == 3)
    end(server, follower)
    assert [(len(text), text[-4:]) for text in written.lines] == [(32771, "xend"), (4, "next"), (32771, "xend")]


def test_fragments_before_since_time_are_dropped(server: LogServer, written: Written, follow: Follow):
    server.log.add(Fragment(at("01.0"), b"begin ", True), Fragment(at("09.0"), b"end"), ("09.1", b"next"))
    server.log.faults.append(Cut(80, True))
    end(server, follow())
    assert written.texts == ["begin end", "next"]


def test_bytes_and_empty_lines_pass_through(server: LogServer, written: Written, follow: Follow):
    server.log.add(("01.0", b"\xff\xfe ok"), ("01.1", b""), ("01.2", "é\r".encode()), ("01.3", b""))
    end(server, follow())
    assert written.texts == ["\\xff\\xfe ok", "", "é\r", ""]


def test_container_without_output_writes_nothing(server: LogServer, written: Written, follow: Follow):
    end(server, follow())
    assert written.texts == []


def test_container_that_starts_late_is_followed(server: LogServer, written: Written, follow: Follow):
    refusal = Refuse(400, 'container \\"base\\" in pod \\"p-1\\" is waiting to start: ContainerCreating')
    server.log.faults.extend([refusal] * 5)
    server.log.add(("01.0", b"hello"))
    follower = follow()
    wait_for(lambda: bool(written.texts))
    end(server, follower)
    assert written.texts == ["hello"]


def test_container_that_never_started_writes_nothing(server: LogServer, written: Written, follow: Follow):
    server.log.faults.extend([Refuse(400, "container base is waiting to start: PodInitializing")] * 50)
    assert follow(is_ended=True).join(10)
    assert written.texts == []


def test_outage_is_told_once_and_loses_nothing(server: LogServer, written: Written, follow: Follow):
    server.log.faults.extend([Cut(38), *[Refuse(503)] * 4, Refuse(429, headers={"Retry-After": "0"})])
    server.log.add(("01.0", b"a"), ("02.0", b"b"))
    follower = follow()
    wait_for(lambda: "b" in written.texts)
    end(server, follower)
    notice = "!Cannot read the log of container base now: HTTP 503: refused. It is tried again."
    assert written.texts == ["a", notice, "b"]


def test_refused_connections_lose_nothing(server: LogServer, written: Written, follow: Follow):
    server.log.add(("01.0", b"a"), ("02.0", b"b"))
    server.close()
    follower = follow()
    wait_for(lambda: bool(written.texts))  # the notice
    server.listen()
    wait_for(lambda: "b" in written.texts)
    end(server, follower)
    assert written.lines == ["a", "b"]


def test_retry_after_is_honoured(server: LogServer, written: Written, follow: Follow):
    server.log.faults.append(Refuse(429, headers={"Retry-After": "1"}))
    server.log.add(("01.0", b"a"))
    start = time.monotonic()
    assert follow(is_ended=True).join(10)
    assert time.monotonic() - start >= 1
    assert written.texts == ["a"]


def test_rotation_during_an_outage_marks_a_gap(server: LogServer, written: Written, follow: Follow):
    server.log.add(("01.0", b"a"))

    def rotate() -> None:
        server.log.add(("02.0", b"lost"))
        server.log.rotate()
        server.log.add(("03.0", b"c"))

    server.log.faults.append(Cut(34, then=rotate))
    end(server, follow())
    gap = f"!The log of container base may have a gap between {DAY}01.000000000Z and {DAY}03.000000000Z."
    assert written.texts == ["a", gap, "c"]


def test_rotation_to_an_empty_file_is_told(server: LogServer, written: Written, follow: Follow):
    server.log.add(("01.0", b"a"))
    server.log.faults.append(Cut(34, then=server.log.rotate))
    end(server, follow())
    missing = f"after {DAY}01.000000000Z: its last lines are no longer in the log."
    assert written.texts == ["a", f"!The log of container base may be incomplete {missing}"]


def test_clock_of_the_node_set_back_while_cut_loses_nothing(server: LogServer, written: Written, follow: Follow):
    server.log.add(("50.0", b"a"))
    server.log.faults.append(Cut(34, then=lambda: server.log.add(("10.0", b"b"), ("11.0", b"c"))))
    end(server, follow())
    assert written.texts == ["a", "b", "c"]


def test_clock_of_the_worker_does_not_matter(
    server: LogServer, written: Written, follow: Follow, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(time, "time", lambda: 4e9)
    server.log.faults.append(Cut(40))
    server.log.add(("01.0", b"a"), ("02.0", b"b"))
    end(server, follow())
    assert written.texts == ["a", "b"]


def test_error_of_the_kubelet_is_told_and_is_no_line(server: LogServer, written: Written, follow: Follow):
    server.log.add(("01.0", b"a"))
    server.log.error = b"failed to create fsnotify watcher: too many open files"
    assert follow(is_ended=True).join(10)
    missing = f"after {DAY}01.000000000Z: the kubelet answered: {server.log.error.decode()}."
    assert written.texts == ["a", f"!The log of container base may be incomplete {missing}"]


def test_pod_that_is_gone_ends_the_follower(server: LogServer, written: Written, follow: Follow):
    server.log.faults.append(Refuse(404, 'pods \\"p-1\\" not found'))
    assert follow().join(10)
    missing = 'from its start: HTTP 404: pods "p-1" not found.'
    assert written.texts == [f"!The log of container base may be incomplete {missing}"]


def test_silent_connection_after_the_end_is_broken(server: LogServer, written: Written, follow: Follow):
    server.log.add(("01.0", b"a"))
    follower = follow()
    wait_for(lambda: written.texts == ["a"])
    follower.container_ended()  # the connection stays open, as through a dead NAT
    assert follower.join(10)
    assert written.texts == ["a"]


def test_running_container_is_read_once_more_when_following_stops(server: LogServer, written: Written, follow: Follow):
    server.log.add(("01.0", b"a"))
    follower = follow(end_silence=60)
    wait_for(lambda: written.texts == ["a"])
    follower.stop_following()
    assert follower.join(10)
    assert written.texts == ["a"]


def test_join_that_timed_out_is_told_and_ends_the_log(server: LogServer, written: Written, follow: Follow):
    held, seen = threading.Event(), threading.Event()

    def hold(line: LogLine) -> None:
        if line.text == "b":
            seen.set()
            held.wait(10)

    written.before = hold
    server.log.add(("01.0", b"a"), ("02.0", b"b"), ("03.0", b"c"))
    follower = follow(is_ended=True)
    assert seen.wait(10)
    assert not follower.join(0.1)
    missing = f"after {DAY}01.000000000Z: it was not read within 0.1 s."
    expected = ["a", f"!The log of container base may be incomplete {missing}"]
    assert written.texts == expected
    held.set()
    follower._thread.join(10)
    assert written.texts == expected


def test_deferred_task_reads_from_the_position_of_its_former_process(
    server: LogServer, written: Written, follow: Follow
):
    server.log.add(("01.000000000", b"a"), ("02.123456789", b"b"), ("02.123456999", b"c"), ("03.0", b"d"))
    assert follow(position=LogPosition(f"{DAY}02.123456789", 1), is_ended=True).join(10)
    assert written.texts == ["c", "d"]
    assert [query for query in server.log.queries if "follow" in query] == []


def test_deferred_task_without_new_lines_reads_the_tail_only(server: LogServer, written: Written, follow: Follow):
    server.log.add(("01.0", b"a"))
    assert follow(position=LogPosition(f"{DAY}01.000000000", 1), is_ended=True).join(10)
    assert (written.texts, len(server.log.queries)) == ([], 1)


def test_failing_writer_does_not_raise(server: LogServer, written: Written, follow: Follow):
    written.before = lambda line: 1 / 0
    server.log.add(("01.0", b"a"))
    assert follow(is_ended=True).join(10)
    missing = "from its start: ZeroDivisionError: division by zero."
    assert written.texts == [f"!The log of container base may be incomplete {missing}"]


def test_hundred_thousand_lines_with_cuts_are_written_once(server: LogServer, written: Written, follow: Follow):
    lines = [(f"{i // 20000:02}.{i // 3 * 1000 % 1000000000:09}", f"line {i}".encode()) for i in range(100_000)]
    server.log.faults.extend(Cut(size) for size in (1, 100_000, 2_000_000, 900_000))
    server.log.add(*lines)
    start = time.monotonic()
    assert follow(is_ended=True).join(60)
    logging.getLogger(__name__).info("%d lines/s", len(lines) / (time.monotonic() - start))
    assert written.lines == [text.decode() for _, text in lines]


def test_log_that_is_refused_five_times_after_the_end_is_given_up(server: LogServer, written: Written, follow: Follow):
    server.log.faults.extend([Refuse(403)] * 9)
    server.log.add(("01.0", b"a"))
    assert follow(is_ended=True).join(10)
    notice = "!The log of container base may be incomplete from its start: HTTP 403: refused."
    assert (written.texts, len(server.log.queries)) == ([notice], 5)


def test_log_of_a_lost_node_is_given_up(server: LogServer, written: Written, follow: Follow):
    server.log.faults.extend([Refuse(502, "dial tcp 198.18.0.9:10250: connect: no route to host")] * 1000)
    started_at = time.monotonic()
    assert follow(is_ended=True, give_up=0.3).join(30)
    assert time.monotonic() - started_at < 10
    assert written.texts[-1] == (
        "!The log of container base may be incomplete from its start: HTTP 502: dial tcp 198.18.0.9:10250: connect: no "
        "route to host."
    )
