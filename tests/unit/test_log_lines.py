"""lifecycle.log_lines: stamps, chunks, and which lines of a repeated read are new."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpo_platform.pod.log_lines import (
    LineSplitter,
    LogCursor,
    LogLine,
    LogPosition,
    Novelty,
    parse_line,
)

DAY = "2026-01-01T00:00:"


def read(cursor: LogCursor, lines: Iterable[tuple[str, str]]) -> list[str]:
    """Read a log and return the new texts, with "gap" before those after a gap."""
    cursor.begin_read()
    new = []
    for stamp, text in lines:
        novelty = cursor.accept(LogLine(DAY + stamp, text))
        new += {Novelty.OLD: [], Novelty.NEW: [text], Novelty.NEW_AFTER_GAP: ["gap", text]}[novelty]
    return new


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        (b"2026-01-01T00:00:01.123456789Z hello  you ", (f"{DAY}01.123456789", "hello  you ")),
        (b"2026-01-01T00:00:01.5Z a", (f"{DAY}01.500000000", "a")),
        (b"2026-01-01T00:00:01Z a", (f"{DAY}01.000000000", "a")),
        (b"2026-01-01T02:00:01.000000001+02:00 a", (f"{DAY}01.000000001", "a")),
        (b"2025-12-31T19:00:01.000000001-05:00 a", (f"{DAY}01.000000001", "a")),
        (b"2026-01-01T00:00:01Z ", (f"{DAY}01.000000000", "")),
        (b"2026-01-01T00:00:01Z", (f"{DAY}01.000000000", "")),
        (b"2026-01-01T00:00:01Z \xff\xc3\xa9\r", (f"{DAY}01.000000000", "\\xffé\r")),
        (b"2026-01-01T00:00:01Zx", None),
        (b"failed to watch file", None),
        (b"", None),
    ],
)
def test_line_is_split_into_stamp_and_text(raw: bytes, line: tuple[str, str] | None):
    assert parse_line(raw) == (LogLine(*line) if line else None)


@given(st.lists(st.binary(max_size=6)))
def test_chunks_are_split_as_the_whole(chunks: list[bytes]):
    splitter = LineSplitter()
    lines = [line for chunk in chunks for line in splitter.feed(chunk)]
    assert [*lines, splitter.rest] == b"".join(chunks).split(b"\n")


def test_equal_stamps_are_told_apart_by_number():
    log = [("01.0", "a"), ("01.0", "b"), ("01.0", "b"), ("01.0", "a"), ("01.0", "b"), ("01.0", "c")]
    for length in range(len(log)):
        cursor = LogCursor()
        assert read(cursor, log[:length]) + read(cursor, log) == ["a", "b", "b", "a", "b", "c"]


def test_clock_that_is_set_back_doubles_and_loses_nothing():
    log = [("50.0", "a"), ("51.0", "b"), ("10.0", "c"), ("09.9", "d"), ("11.0", "e")]
    for length in range(3, len(log)):
        cursor = LogCursor()
        read(cursor, log[:length])
        after_since = [line for line in log if DAY + line[0] >= str(cursor.since)[:-1]]
        assert read(cursor, after_since) == [text for _, text in log[length:]]


def test_rotation_marks_a_gap_once():
    cursor = LogCursor()
    assert read(cursor, [("01.0", "a"), ("02.0", "b")]) == ["a", "b"]
    assert read(cursor, [("04.0", "d"), ("05.0", "e")]) == ["gap", "d", "e"]
    assert read(cursor, [("05.0", "e"), ("06.0", "f")]) == ["f"]


def test_since_is_a_second_before_the_last_line():
    cursor = LogCursor()
    assert cursor.since is None
    read(cursor, [("00.5", "a")])
    assert cursor.since == "2025-12-31T23:59:59Z"


@pytest.mark.parametrize(
    ("position", "new"),
    [
        (LogPosition(f"{DAY}02.000000005", 1), ["c", "d"]),
        (LogPosition(f"{DAY}02.000000005", 2), ["d"]),
        (LogPosition(f"{DAY}02.000000005"), ["d"]),
        (LogPosition.at("2026-01-01T01:00:02+01:00"), ["b", "c", "d"]),
        (LogPosition.at(datetime(2026, 1, 1, 0, 0, 2, 9, tzinfo=UTC)), ["b", "c", "d"]),
        (LogPosition.at(datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC)), ["a", "b", "c", "d"]),
        (LogPosition.at(datetime(2026, 1, 1, 0, 0, 9, tzinfo=UTC)), []),
        (LogPosition.at(None), ["a", "b", "c", "d"]),
        (LogPosition(f"{DAY}00.000000000"), ["gap", "a", "b", "c", "d"]),
    ],
)
def test_position_of_a_former_process_is_resumed(position: LogPosition | None, new: list[str]):
    log = [("01.000000000", "a"), ("02.000000005", "b"), ("02.000000005", "c"), ("03.000000000", "d")]
    assert read(LogCursor(position), log) == new


def test_position_counts_the_lines_of_the_last_stamp():
    cursor = LogCursor(LogPosition(f"{DAY}01.0", 2))
    assert cursor.position == LogPosition(f"{DAY}01.0", 2)
    read(cursor, [("01.0", "a"), ("01.0", "b"), ("01.0", "c")])
    assert cursor.position == LogPosition(f"{DAY}01.0", 3)


LOGS = st.lists(st.tuples(st.sampled_from(["01.0", "01.1", "02.0"]), st.sampled_from("ab")), max_size=12)


@given(LOGS, st.lists(st.integers(0, 12), max_size=4))
def test_any_interruptions_write_every_line_once(log: list[tuple[str, str]], ends: list[int]):
    cursor, written = LogCursor(), []
    for end in [*sorted(ends), len(log)]:
        written += read(cursor, log[:end])
    assert written == [text for _, text in log]


@given(LOGS, st.integers(0, 12), st.lists(st.integers(0, 12), max_size=4))
def test_next_process_writes_the_rest_once(log: list[tuple[str, str]], stop: int, ends: list[int]):
    log.sort(key=lambda line: line[0])
    former = LogCursor()
    written = read(former, log[:stop])
    cursor = LogCursor(former.position)
    for end in [*sorted(max(stop, end) for end in ends), len(log)]:
        written += read(cursor, log[:end])
    assert written == [text for _, text in log]


def test_position_keeps_the_latest_stamp():
    former, log = LogCursor(), [("01.2", "a"), ("01.1", "b"), ("01.3", "c")]
    assert read(former, log[:2]) == ["a", "b"]
    assert former.position == LogPosition(f"{DAY}01.1", 1, latest=f"{DAY}01.2")
    assert read(LogCursor(former.position), log) == ["c"]


def cut_tail(log: list[tuple[str, str]], count: int) -> bytes:
    return "".join(f"{DAY}{stamp}Z {text}\n" for stamp, text in log[-count:]).encode()


@given(LOGS, st.integers(0, 12))
def test_last_lines_prove_the_end_exactly_if_all_was_read(log: list[tuple[str, str]], stop: int):
    log = sorted((f"{stamp:0<12}", text) for stamp, text in log)
    former = LogCursor()
    read(former, log[:stop])
    for cursor in (former, LogCursor(former.position)):
        assert cursor.is_at_end(cut_tail(log, cursor.tail_lines), b"") == (len(log) <= stop)


@pytest.mark.parametrize(("count", "lines", "is_proven"), [(99, 100, True), (100, 101, True), (101, 101, False)])
def test_more_than_a_hundred_lines_of_one_stamp_prove_nothing(count: int, lines: int, is_proven: bool):
    cursor, log = LogCursor(), [("01.000000000", "a")] * count
    read(cursor, log)
    assert (cursor.tail_lines, cursor.is_at_end(cut_tail(log, lines), b"")) == (lines, is_proven)
