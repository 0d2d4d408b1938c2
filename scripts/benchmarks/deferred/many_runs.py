"""Runs of 100 tasks: CPU outside of the pods, and tasks that are lost, doubled or late."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.deferred.load.outcome import LATE_S
from benchmarks.deferred.variants import MANY, MANY_LONG, MANY_TASKS, PYTHON, STOCK, TEAM, name_dag
from benchmarks.parts import Part
from benchmarks.sync.idle_cpu import count_cpu
from benchmarks.sync.marks import parse_time
from benchmarks.sync.pod_times import PodTimes
from benchmarks.sync.scene import BenchRun, Scene, read_lines
from stack.pod_watch import watch_pods

COUNTED = ((PYTHON, MANY), (TEAM, MANY), (STOCK, MANY), (STOCK, MANY_LONG), (TEAM, MANY_LONG))
"""The runs whose CPU is compared; tasks without a pod are the floor."""

_PLAN = (*COUNTED, (TEAM, MANY_LONG), (TEAM, MANY_LONG), (TEAM, MANY))
_DEADLINE_S = 1200.0
_STORAGE_S = 5.0
_DONE = re.compile(r"\bdone (\d+)$")


@dataclass(frozen=True)
class TaskEnd:
    """A task of a run as its records show it after the run.

    Attributes:
        state: Airflow's state of the task.
        ended: the time of the task's end; None if it has none.
        pods: the times at which the program of each of its pods has ended.
        lines: how often its log has the program's line.
    """

    state: str
    ended: float | None
    pods: Sequence[float | None]
    lines: int


def count_faults(tasks: Sequence[TaskEnd]) -> dict[str, int]:
    """Count the tasks that are lost (no success, or no line of their program), doubled (pods or lines) and late."""
    return {
        "lost": sum(task.state != "success" or not task.lines for task in tasks),
        "doubled": sum(len(task.pods) > 1 or task.lines > 1 for task in tasks),
        "late": sum(_is_late(task) for task in tasks),
    }


def _is_late(task: TaskEnd) -> bool:
    ended = [time for time in task.pods if time is not None]
    return task.ended is not None and bool(ended) and task.ended - max(ended) > LATE_S


def plan_many_runs(scene: Scene) -> Part:
    """Return the part: a run without pods, two of the stock engine, and five of the platform's."""
    plan = tuple(name_dag(*names) for names in _PLAN)
    return Part("many", plan, lambda dag: measure_run(scene, dag), f"{MANY_TASKS} tasks")


def measure_run(scene: Scene, dag: str) -> dict[str, Any]:
    """Run a DAG of many tasks; return the CPU seconds by component, the run's seconds, and the faults."""
    pods = PodTimes()
    with watch_pods(scene.stack, observed=pods), count_cpu(scene.stack) as cpu:
        start = time.monotonic()
        run = scene.trigger(dag)
        scene.wait_for_end(run, _DEADLINE_S)
        duration = time.monotonic() - start
        time.sleep(_STORAGE_S)  # the last pods are deleted after their tasks' ends
    ends = list(_read_ends(scene, run, pods))
    return {"dag": dag, "tasks": len(ends), "seconds": round(duration, 1), "cpu": cpu, **count_faults(ends)}


def _read_ends(scene: Scene, run: BenchRun, pods: PodTimes) -> Iterator[TaskEnd]:
    lines = _count_lines(scene, run)
    times: dict[str, list[float | None]] = {}
    for pod in pods.with_labels(dag_id=run.dag, run_id=run.id):
        times.setdefault(pod["metadata"]["labels"]["map_index"], []).append(pods.get_marks(pod).get("ended"))
    for task in scene.airflow.list_task_instances(run.dag, run.id):
        number = str(task["map_index"])
        yield _build_end(task, times.get(number, []), lines[number])


def _build_end(task: Mapping[str, Any], pods: Sequence[float | None], lines: int) -> TaskEnd:
    ended = parse_time(task["end_date"]) if task["end_date"] else None
    return TaskEnd(str(task["state"]), ended, pods, lines)


def _count_lines(scene: Scene, run: BenchRun) -> Counter[str]:
    """Count in all logs of a run how often each program's line is there."""
    folder = scene.logs / f"dag_id={run.dag}" / f"run_id={run.id}"
    return Counter(number for file in sorted(folder.rglob("*.log*")) for number in _find_done(file))


def _find_done(file: Path) -> Iterator[str]:
    for line in read_lines(file):
        if "done" in line and line.endswith("}\n") and (found := _DONE.search(json.loads(line)["event"])):
            yield found[1]
