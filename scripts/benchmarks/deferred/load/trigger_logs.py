"""The events of triggers, by the logs of their tasks in the volume that Airflow's components share."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from benchmarks.sync.marks import parse_time

_FIRED = "Trigger fired event"
"""What Airflow writes when a trigger has fired an event: the same line for every trigger."""


def find_trigger_logs(logs: Path, dag: str, run: str) -> dict[int, list[Path]]:
    """Return the logs that a triggerer has begun for the tasks of a run, by map index.

    Args:
        logs: the folder of all logs.
        dag: the DAG's id.
        run: the run's id.
    """
    found: dict[int, list[Path]] = {}
    for file in (logs / f"dag_id={dag}" / f"run_id={run}").glob("task_id=work/map_index=*/attempt=1.log.trigger.*.log"):
        found.setdefault(int(file.parent.name.removeprefix("map_index=")), []).append(file)
    return found


def read_fired(logs: Path, dag: str, run: str) -> dict[int, list[float]]:
    """Return the times at which triggers have fired events, by map index; arguments as of `find_trigger_logs`."""
    fired = {}
    for index, files in find_trigger_logs(logs, dag, run).items():
        lines = (line for file in sorted(files) for line in file.read_text(encoding="utf-8").splitlines())
        fired[index] = list_fired(lines)
    return fired


def list_fired(lines: Iterable[str]) -> list[float]:
    """Return the times of the events in a log's JSON lines."""
    records = (json.loads(line) for line in lines if _FIRED in line)
    return [parse_time(record["timestamp"]) for record in records if record["event"] == _FIRED]
