"""The marks of a task's run, moments from the trigger to the run's end, and the stages between them."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

Json = dict[str, Any]
Marks = dict[str, float]
"""Mark → time in seconds; in a sample the seconds since the trigger."""

STAGES = {
    "trigger → queued": ("triggered", "queued"),
    "queued → worker starts": ("queued", "started"),
    "worker starts → DAG file": ("started", "opened"),
    "import of the DAG file": ("opened", "parsed"),
    "import → `execute`": ("parsed", "entered"),
    "`execute` → pod created": ("entered", "created"),
    "created → running": ("created", "running"),
    "running → end seen": ("running", "ended"),
    "end seen → returned": ("ended", "returned"),
    "returned → task's end": ("returned", "finished"),
    "task's end → run marked": ("finished", "marked"),
}
"""Stage → its first and its last mark. *Seen* means: sent to a watch by the API server."""

_PARSED, _BEGIN, _END = "Worker startup parse complete", "::endgroup::", "::group::Post Execute"


def read_log_marks(lines: Iterable[str]) -> Marks:
    """Read the marks that Airflow writes into a task's log around the import of its file and around `execute`.

    The marks are those of the task's process, so both engines are measured in the same way and without code of their
    own.

    Args:
        lines: the log's JSON lines.
    """
    marks: Marks = {}
    for line in lines:
        if not any(event in line for event in (_PARSED, _BEGIN, _END)):
            continue
        record = json.loads(line)
        event, seconds = record["event"], parse_time(record["timestamp"])
        if event == _PARSED:
            marks |= {"opened": seconds - record["dag_file_parse_ms"] / 1000, "parsed": seconds}
        elif event == _BEGIN and record.get("logger") == "task":  # the first; an operator has groups, too
            marks.setdefault("entered", seconds)
        elif event == _END:
            marks["returned"] = seconds
    return marks


def read_api_marks(run: Json, instance: Json) -> Marks:
    """Read the marks of a DAG run and its task instance as Airflow's API shows them."""
    times = {
        "queued": instance["queued_when"],
        "started": instance["start_date"],
        "finished": instance["end_date"],
        "marked": run["end_date"],
    }
    return {mark: parse_time(text) for mark, text in times.items()}


def list_pod_marks(pod: Json, container: str = "base") -> list[str]:
    """List the marks that a pod has passed in this state."""
    statuses = pod.get("status", {}).get("containerStatuses", [])
    state: Json = next((status.get("state", {}) for status in statuses if status["name"] == container), {})
    marks = {"created": True, "running": "running" in state or "terminated" in state, "ended": "terminated" in state}
    return [mark for mark, is_passed in marks.items() if is_passed]


def parse_time(text: str) -> float:
    """Return an ISO 8601 time as seconds since 1970."""
    return datetime.fromisoformat(text).timestamp()


def build_sample(triggered: float, *marks: Mapping[str, float]) -> Marks:
    """Join marks, in milliseconds' precision since the trigger."""
    return {mark: round(seconds - triggered, 3) for part in marks for mark, seconds in part.items()}


def measure_span(sample: Mapping[str, float], first: str, last: str) -> float | None:
    """Return the seconds between two marks of a sample, or None if it lacks one, as a task without a pod does."""
    all_marks = {"triggered": 0.0, **sample}
    return all_marks[last] - all_marks[first] if first in all_marks and last in all_marks else None


def measure_spans(samples: Iterable[Mapping[str, float]], first: str, last: str) -> list[float]:
    """Return the seconds between two marks of all samples that have both."""
    spans = (measure_span(sample, first, last) for sample in samples)
    return [span for span in spans if span is not None]


def measure_stages(samples: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the median of each stage that the samples have."""
    spans = {stage: measure_spans(samples, *marks) for stage, marks in STAGES.items()}
    return {stage: statistics.median(seconds) for stage, seconds in spans.items() if seconds}
