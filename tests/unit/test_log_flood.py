"""lifecycle.log_flood: lines that come faster than Airflow logs are joined, others never."""

from __future__ import annotations

import logging

from hypothesis import given
from hypothesis import strategies as st

from kpo_platform.airflow.operators.lifecycle.log_flood import FLOOD_LINES, JOINED_LINES, FloodCounter, join_lines
from kpo_platform.pod.log_lines import LogLine


def line(text: str) -> LogLine:
    return LogLine("2026-01-01T00:00:01.000000000", text)


def test_more_lines_in_a_second_of_the_node_than_the_limit_are_a_flood():
    counter = FloodCounter()
    stamps = [f"2026-01-01T00:00:01.{number:09}" for number in range(FLOOD_LINES + 2)]
    stamps += [f"2026-01-01T00:00:{2 + number:02}.000000000" for number in range(8)]
    floods = [counter.is_flood(LogLine(stamp, "x")) for stamp in stamps]
    assert floods == [*[False] * FLOOD_LINES, True, True, *[False] * 8]


def test_a_group_ends_at_its_limits_and_at_another_kind():
    kinds = {"E": logging.ERROR, "g": None}
    texts = ["a", "b", "E", "E", "g", "g", "c", *["n"] * (JOINED_LINES + 1), "x" * 7_999, "y", "z", "w" * 20_000]
    groups = join_lines([line(text) for text in texts], lambda each: kinds.get(each.text, logging.INFO))
    assert [[each.text for each in group] for group in groups] == [
        ["a", "b"],
        ["E", "E"],
        ["g"],
        ["g"],
        ["c", *["n"] * (JOINED_LINES - 1)],
        ["n", "n"],
        ["x" * 7_999, "y"],
        ["z"],
        ["w" * 20_000],
    ]


@given(st.lists(st.text(max_size=5_000), max_size=30), st.integers(1, 4))
def test_every_line_is_in_one_group_in_its_order(texts: list[str], divisor: int):
    lines = [line(text) for text in texts]
    groups = list(join_lines(lines, lambda each: len(each.text) % divisor or None))
    assert [each for group in groups for each in group] == lines
    assert all(groups)
