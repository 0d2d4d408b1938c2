"""lifecycle.log_jumps: lines that a rotation may have taken out within one read."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from kpo_platform.airflow.operators.lifecycle.log_jumps import JumpDetector
from kpo_platform.pod.log_lines import LogLine
from unit.support.log_following import DAY, Follow, Written, end
from unit.support.log_server import LogServer

FILE = 10 * 1024 * 1024


def find_jumps(lines: Iterable[tuple[int, float, int]]) -> list[int]:
    """Return the positions of the jumps among lines of second, arrival and size."""
    now = 0.0
    detector = JumpDetector(lambda: now)
    found = []
    for index, (second, arrival, size) in enumerate(lines):
        now = arrival
        if detector.is_jump(LogLine(f"2026-01-01T00:00:{second:02}.5", "x"), size):
            found.append(index)
    return found


@pytest.mark.parametrize(
    ("lines", "jumps"),
    [
        ([(0, 0, FILE), (12, 0.1, 1), (13, 0.2, 1)], [1]),
        ([(0, 0, FILE), (12, 12, 1)], []),
        ([(0, 0, FILE), (5, 0.1, 1), (10, 0.2, 1)], []),
        ([(0, 0, 1000), (12, 0.1, 1)], []),
        ([(0, 0, FILE), (12, 0.1, 1), (24, 0.2, 1), (25, 0.3, FILE), (37, 0.4, 1)], [1, 4]),
        ([(30, 0, FILE), (10, 0.1, 1)], []),
    ],
    ids=["skipped file", "pause that is awaited", "short pauses", "small log", "once a file", "clock set back"],
)
def test_a_jump_of_late_lines_after_a_files_size_may_be_a_skipped_file(
    lines: list[tuple[int, float, int]], jumps: list[int]
):
    assert find_jumps(lines) == jumps


def test_file_that_the_kubelet_skips_leaves_a_marked_gap(server: LogServer, written: Written, follow: Follow):
    big = b"x" * 1_000_000
    server.log.add(*((f"01.{number:09}", big) for number in range(9)), ("21.0", b"next"))
    end(server, follow())
    notice = f"!The log of container base may have a gap between {DAY}01.000000008Z and {DAY}21.000000000Z."
    assert [text for text in written.texts if len(text) < 200] == [notice, "next"]
