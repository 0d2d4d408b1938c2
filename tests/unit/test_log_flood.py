"""lifecycle.log_flood: lines that come faster than Airflow logs are joined, others never."""

from __future__ import annotations

import logging

from hypothesis import given
from hypothesis import strategies as st

from kpo_platform.airflow.operators.lifecycle.log_flood import FLOOD_LINES, JOINED_LINES, FloodGauge, join_lines
from kpo_platform.airflow.operators.lifecycle.log_lines import LogLine


def line(text: str) -> LogLine:
    return LogLine("2026-01-01T00:00:01.000000000", text)


def test_more_lines_in_a_second_than_the_limit_are_a_flood():
    times = iter([10.0, 10.5, 10.9, 11.0, 11.9])
    gauge = FloodGauge(lambda: next(times))
    assert [gauge.add(count) for count in (FLOOD_LINES, 1, 1, FLOOD_LINES, 1)] == [False, True, True, False, True]


def test_a_group_ends_at_its_limits_and_at_another_kind():
    kinds = {"E": logging.ERROR, "g": None}
    texts = ["a", "b", "E", "E", "g", "g", "c", *["n"] * (JOINED_LINES + 1), "x" * 15_999, "y", "z", "w" * 20_000]
    groups = join_lines([line(text) for text in texts], lambda text: kinds.get(text, logging.INFO))
    assert [[each.text for each in group] for group in groups] == [
        ["a", "b"],
        ["E", "E"],
        ["g"],
        ["g"],
        ["c", *["n"] * (JOINED_LINES - 1)],
        ["n", "n"],
        ["x" * 15_999, "y"],
        ["z"],
        ["w" * 20_000],
    ]


@given(st.lists(st.text(max_size=9_000), max_size=30), st.integers(1, 4))
def test_every_line_is_in_one_group_in_its_order(texts: list[str], divisor: int):
    lines = [line(text) for text in texts]
    groups = list(join_lines(lines, lambda text: len(text) % divisor or None))
    assert [each for group in groups for each in group] == lines
    assert all(groups)
