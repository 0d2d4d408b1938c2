"""lifecycle.log_follower proves that it has read an ended log to its end: at once, and with few requests."""

from __future__ import annotations

import itertools

import pytest

from unit.support.log_following import DAY, Follow, Written, end, wait_for
from unit.support.log_server import Cut, Fragment, LogServer, at

Lines = list[tuple[str, bytes] | Fragment]

PART = b"x" * 16384
ONE_STAMP: Lines = [("04.0", b"a"), ("05.0", b"b"), ("05.0", b"c")]
MANY: Lines = [("05.0", b"a")] * 101
LONG_LINE: Lines = [("01.0", b"a"), Fragment(at("09.0"), PART, True), Fragment(at("09.1"), PART, True)]
LONG_LINE += [Fragment(at("09.2"), b"b")]
LONG = {"retry": 60, "longest_retry": 60}
"""A pause would last longer than a test waits."""


def describe(server: LogServer) -> list[str]:
    """Name the reads of the log."""
    return [
        "follow"
        if "follow" in query
        else f"tail {query['tailLines']}"
        if "tailLines" in query
        else f"since {query['sinceTime'][-3:-1]}"
        if "sinceTime" in query
        else "whole"
        for query in server.log.queries
    ]


@pytest.mark.parametrize(
    ("lines", "count", "reads"),
    [(MANY, 101, ["whole", "tail 101", "since 04"]), (LONG_LINE, 2, ["whole", "tail 2", "since 08"])],
    ids=["one stamp", "long line"],
)
def test_ended_log_whose_last_lines_prove_nothing_is_read_without_a_pause(
    server: LogServer, written: Written, follow: Follow, lines: Lines, count: int, reads: list[str]
):
    server.log.add(*lines)
    assert follow(is_ended=True, **LONG).join(10)
    assert (len(written.texts), describe(server)) == (count, reads)


def test_ended_log_that_always_has_more_is_not_read_without_a_pause(
    server: LogServer, written: Written, follow: Follow
):
    numbers = itertools.count(2)
    written.before = lambda line: server.log.add((f"{next(numbers):02}.0", b"more"))
    server.log.add(("01.0", b"first"))
    assert not follow(is_ended=True, **LONG).join(1)
    missing = f"after {DAY}03.000000000Z: it was not read within 1 s."
    assert written.texts == ["first", "more", "more", f"!The log of container base may be incomplete {missing}"]


def test_ended_log_without_a_line_end_that_always_changes_is_not_read_without_a_pause(
    server: LogServer, written: Written, follow: Follow
):
    server.log.add(("01.0", b"first"), Fragment(at("02.0"), b"begin", is_partial=True))
    answer = server.log.answer

    def grow(query: dict[str, str]) -> itertools.chain[bytes]:
        return itertools.chain(answer(query), [b"x" * len(server.log.queries)])

    server.log.answer = grow  # type: ignore[method-assign, assignment]
    assert not follow(is_ended=True, **LONG).join(1)
    missing = f"after {DAY}01.000000000Z: it was not read within 1 s."
    assert written.texts == ["first", f"!The log of container base may be incomplete {missing}"]
    assert len(server.log.queries) <= 8


@pytest.mark.parametrize(
    ("lines", "texts", "tail"), [([("01.0", b"a"), ("02.0", b"b")], ["a", "b"], 2), (ONE_STAMP, ["a", "b", "c"], 3)]
)
def test_ended_log_is_read_once_and_compared_with_its_end(
    server: LogServer, written: Written, follow: Follow, lines: Lines, texts: list[str], tail: int
):
    server.log.add(*lines)
    assert follow(is_ended=True, **LONG).join(10)
    assert (written.texts, describe(server)) == (texts, ["whole", f"tail {tail}"])


def test_log_that_was_followed_to_lines_of_one_stamp_is_compared_with_its_end(
    server: LogServer, written: Written, follow: Follow
):
    server.log.add(*ONE_STAMP)
    follower = follow(**LONG)
    wait_for(lambda: len(written.texts) == 3)
    end(server, follower)
    assert (written.texts, describe(server)) == (["a", "b", "c"], ["follow", "tail 3"])


def test_ended_log_without_a_line_is_read_twice(server: LogServer, written: Written, follow: Follow):
    assert follow(is_ended=True, **LONG).join(10)
    assert (written.texts, describe(server)) == ([], ["whole", "tail 2"])


def test_log_that_was_followed_and_has_no_line_is_read_once_more(server: LogServer, written: Written, follow: Follow):
    follower = follow(**LONG)
    wait_for(lambda: describe(server) == ["follow"])
    end(server, follower)
    assert (written.texts, describe(server)) == ([], ["follow", "tail 2"])


@pytest.mark.parametrize("position", [0, 1, 2])
def test_read_that_is_cut_before_the_first_byte_loses_nothing(
    server: LogServer, written: Written, follow: Follow, position: int
):
    server.log.add(("01.0", b"a"), ("02.0", b"b"))
    server.log.faults.extend([*[None] * position, Cut(0, is_clean=True)])
    assert follow(is_ended=True, **LONG).join(10)
    assert written.texts == ["a", "b"]


def test_follow_that_was_broken_off_does_not_count_as_a_read(server: LogServer, written: Written, follow: Follow):
    """The kubelet does not end it, and the next read is cut before its first byte."""
    follower = follow(end_silence=0.05, **LONG)
    wait_for(lambda: describe(server) == ["follow"])
    server.log.faults.append(Cut(0, is_clean=True, then=lambda: server.log.add(("01.0", b"a"))))
    follower.container_ended()
    assert follower.join(10)
    assert (written.texts, describe(server)) == (["a"], ["follow", "whole", "tail 2", "whole", "tail 2"])
