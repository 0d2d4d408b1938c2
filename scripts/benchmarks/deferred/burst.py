"""A burst of 300 long tasks: how fast they start their pods, and free the slots of their workers."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress
from typing import Any

from benchmarks.deferred.variants import AT_ONCE, BURST, BURST_TASKS, STOCK, TEAM, name_dag
from benchmarks.parts import Part
from benchmarks.sync.pod_times import PodTimes
from benchmarks.sync.scene import BenchRun, Scene
from common.errors import ScriptError
from common.polling import NotYet, wait_for
from stack.airflow_api import NoResponseError
from stack.pod_watch import watch_pods
from stack.pools import changed_slots

_DEADLINE_S = 1500.0
_TEAM = "team-alpha"
"""The namespace and the pool of the team."""


def plan_burst(scene: Scene) -> Part:
    """Return the part: a burst of each variant."""
    plan = tuple(name_dag(variant, BURST) for variant in (TEAM, AT_ONCE, STOCK))
    return Part("burst", plan, lambda dag: _measure(scene, dag), f"Burst of {BURST_TASKS} tasks")


def _measure(scene: Scene, dag: str) -> dict[str, Any]:
    pods = PodTimes()
    slots = changed_slots(scene.airflow, _TEAM, BURST_TASKS + 100)  # a deferred task keeps its slot
    with slots, watch_pods(scene.stack, observed=pods):
        run = scene.trigger(dag)
        try:
            _wait_until_deferred(scene, run)
            deferred = time.time()
        finally:
            _end_run(scene, run)
    created = sorted(pods.get_marks(pod)["created"] for pod in pods.with_labels(dag_id=dag, run_id=run.id))
    return {"dag": dag, **measure_rate(created), "deferred_s": round(deferred - run.triggered, 1)}


def measure_rate(created: list[float]) -> dict[str, float]:
    """Return the number of pods, and how many per minute were created between the first and the last.

    Args:
        created: the times of their creation, sorted.
    """
    span = created[-1] - created[0]
    return {"pods": len(created), "per_minute": round((len(created) - 1) * 60 / span, 1)}


def _wait_until_deferred(scene: Scene, run: BenchRun) -> None:
    def probe() -> None:
        try:
            tasks = scene.airflow.list_task_instances(run.dag, run.id)
        except NoResponseError as error:
            raise NotYet(str(error)) from None
        states = Counter(str(task["state"]) for task in tasks)
        if failed := states["failed"] + states["up_for_retry"]:
            raise ScriptError(f"{failed} tasks of {run.dag} failed. See the logs in {scene.logs}")
        if states["deferred"] != BURST_TASKS:
            raise NotYet(f"tasks {dict(states)}")

    wait_for(f"{BURST_TASKS} tasks of {run.dag} to be deferred", probe, _DEADLINE_S, interval_s=5)


def _end_run(scene: Scene, run: BenchRun) -> None:
    """Fail the run, and delete the pods that its tasks leave."""
    with suppress(ScriptError):
        scene.airflow.patch(run.path, {"state": "failed"})
    labels = f"dag_id={run.dag},run_id={run.id}"
    scene.stack.kubectl("delete", "pods", "-n", _TEAM, "-l", labels, timeout_s=300)
