"""scripts/bench results: which reports of the kubelet are judged falsely."""

from __future__ import annotations

import pytest

from benchmarks.results import render_counts
from faults.messages import Report

LIMIT = 8


@pytest.mark.parametrize(
    ("content", "message", "is_taken", "is_false"),
    [
        (b'"12345"', '"12345"', True, False),
        (b'"123456"', '"123456"', False, False),
        (b'"1234567"', '"1234567', False, False),
        (b'"1234567"', '"123456', True, True),
        (b'"12345"', '"1234"', True, True),
        (b'"12345"', "", True, True),
        (b'"12345"', None, False, True),
        (b"\xff\xff\xff", "\ufffd\ufffd\ufffd", False, False),
        (b"\xff", "\ufffd", True, False),
    ],
)
def test_report_is_judged_by_the_content_of_the_file(
    content: bytes, message: str | None, is_taken: bool, is_false: bool
):
    report = Report(content, message, LIMIT)
    assert (report.is_taken, report.is_false) == (is_taken, is_false)


def test_soak_counts_the_batches_together():
    assert render_counts({"batches": 2, "results": 84, "taken": 40, "false": 1})["rows"] == [[84, 2, 40, 1]]
