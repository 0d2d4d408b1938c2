"""lifecycle.log_follower proves that it has read an ended log to its end: at once, and with few requests."""

from __future__ import annotations

import itertools

import pytest

from unit.support.log_following import DAY, Follow, Written
from unit.support.log_server import Fragment, LogServer, at

Lines = list[tuple[str, bytes] | Fragment]

PART = b"x" * 16384
ONE_STAMP: Lines = [("05.0", b"a"), ("05.0", b"b")]
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
    ("lines", "reads"),
    [(ONE_STAMP, ["tail 2", "whole", "tail 2", "since 04"]), (LONG_LINE, ["tail 2", "whole", "tail 2", "since 08"])],
    ids=["one stamp", "long line"],
)
def test_ended_log_whose_last_line_proves_nothing_is_read_without_a_pause(
    server: LogServer, written: Written, follow: Follow, lines: Lines, reads: list[str]
):
    server.log.add(*lines)
    assert follow(is_ended=True, **LONG).join(10)
    assert ([text[:1] + text[-1:] for text in written.texts], describe(server)) == (
        ["aa", "bb" if lines is ONE_STAMP else "xb"],
        reads,
    )


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
