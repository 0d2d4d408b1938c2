"""Tasks of 20 to 120 s in parallel: the time from the end of the program to that of `execute`, and the requests."""

from __future__ import annotations

import time
from typing import Any

from benchmarks.parts import Part
from benchmarks.sync.audit_log import TaskPod, count_requests, read_audit_log
from benchmarks.sync.marks import measure_span
from benchmarks.sync.pod_times import PodTimes
from benchmarks.sync.scene import BenchRun, Scene
from benchmarks.sync.variants import COUNTED_LENGTH, LENGTHS, STOCK, TEAM, mirror, name_dag
from local_cluster.cluster_paths import default_paths
from stack.pod_watch import watch_pods

_DEADLINE_S = 400.0
_REST_S = 5.0


def plan_long_runs(scene: Scene) -> Part:
    """Return the part: two runs of each engine, with nine tasks each."""
    return Part("long", tuple(mirror((TEAM, STOCK))), lambda engine: _measure(scene, engine), "Tasks of 20 to 120 s")


def _measure(scene: Scene, engine: str) -> dict[str, Any]:
    """Return the delays by length, and the requests of each counted task."""
    pods = PodTimes()
    with watch_pods(scene.stack, observed=pods):
        run = scene.trigger(name_dag(engine, "_long"))
        scene.wait_for_end(run, _DEADLINE_S)
    delays = {
        str(length): [_measure_delay(scene, run, pods, task) for task in _list_tasks(length)] for length in LENGTHS
    }
    time.sleep(_REST_S)  # requests are logged at their end
    return {"engine": engine, "delays": delays, **_count_requests(run, pods)}


def _measure_delay(scene: Scene, run: BenchRun, pods: PodTimes, task: str) -> float:
    """Return the seconds from the terminated status in the API server to the end of `execute`."""
    delay = measure_span({**scene.read_log_marks(run, task), **pods.read_marks(run.id, task)}, "ended", "returned")
    assert delay is not None
    return round(delay, 3)


def _count_requests(run: BenchRun, pods: PodTimes) -> dict[str, Any]:
    names = [name for length in LENGTHS for name in _list_tasks(length)]
    tasks = [TaskPod(run.id, name, pods.find_pod(run.id, name)["metadata"]["name"]) for name in names]
    lines = read_audit_log(default_paths().logs, run.triggered)
    counts, others = count_requests(lines, tasks, run.triggered)
    counted = [dict(count) for name, count in zip(names, counts, strict=True) if name in _list_tasks(COUNTED_LENGTH)]
    return {"requests": counted, "others": dict(others), "tasks": len(names)}


def _list_tasks(length: int) -> list[str]:
    return [f"sleep_{seconds}" for seconds in LENGTHS[length]]
