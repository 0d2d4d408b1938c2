"""The check of numbered lines in scripts/bench sync."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from benchmarks.sync.numbered_lines import LineReport, check_lines

GAP = '{"event":"The log of container base may have a gap between 2026-11-30T01:00:00Z and 2026-11-30T01:00:09Z."}'
END = '{"event":"The log of container base may be incomplete after 2026-11-30T01:00:00Z: the pod is gone."}'


def write(numbers: Iterable[int], seconds: float = 0.5) -> list[str]:
    """Write a log in which each line comes a time after the one before."""
    return [
        f'{{"timestamp":"2026-11-30T01:00:{index * seconds:09.6f}Z","event":"[base] number {number:07} xx"}}'
        for index, number in enumerate(numbers)
    ]


def check(log: Iterable[str]) -> LineReport:
    return check_lines(log, total=8, burst=4)


def test_whole_log_has_no_fault_and_a_rate_per_burst():
    assert check(["another line", *write(range(1, 9))]) == LineReport(0, 0, 0, rates=(2, 2))


def test_lines_that_share_a_record_count_each():
    event = "\\n".join(f"[base] number {number:07} xx" for number in (2, 3))
    shared = f'{{"timestamp":"2026-11-30T01:00:00.25Z","event":"{event}"}}'
    assert check([*write([1]), shared, *write([3, 4, 5, 6, 7, 8])]) == LineReport(1, 0, 0, rates=(6, 2))


@pytest.mark.parametrize(
    ("log", "doubled", "missing", "unmarked"),
    [
        (write([1, 2, 2, 3, 1, 4, 5, 6, 7, 8]), 2, 0, 0),
        (write([1, 2, 5, 8]), 0, 4, 2),
        ([*write([1, 2]), GAP, *write([5, 8])], 0, 4, 1),
        ([*write([1, 2]), GAP, *write([5]), END], 0, 5, 0),
        ([GAP, *write([3, 4, 5, 6, 7, 8])], 0, 2, 0),
        ([GAP, *write([1, 2, 4, 5, 6, 7, 8])], 0, 1, 1),
        (write([1, 3, 4, 2, 5, 6, 7, 8]), 0, 0, 0),
        ([], 0, 8, 1),
    ],
    ids=["doubled", "gaps", "one marked", "end marked", "start marked", "mark elsewhere", "late line", "empty"],
)
def test_faults_are_counted_and_a_gap_needs_a_mark_in_its_place(
    log: list[str], doubled: int, missing: int, unmarked: int
):
    report = check(log)
    assert (report.doubled, report.missing, report.unmarked) == (doubled, missing, unmarked)


def test_burst_without_its_first_or_last_line_has_no_rate():
    assert check(write([1, 2, 3, 4, 6, 7, 8], seconds=0.25)).rates == (4,)
