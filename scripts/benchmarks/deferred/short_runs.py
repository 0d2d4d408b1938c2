"""Runs in turn of tasks with a pod that does nothing, of tasks with a pod of 20 s, and of tasks without a pod."""

from __future__ import annotations

from typing import Any

from benchmarks.deferred.variants import (
    AT_ONCE,
    LONG,
    POD_VARIANTS,
    REFERENCES,
    RESULT,
    STOCK,
    TEAM,
    name_dag,
)
from benchmarks.parts import Part
from benchmarks.sync.marks import Marks
from benchmarks.sync.pod_times import PodTimes
from benchmarks.sync.scene import Scene
from benchmarks.sync.variants import mirror
from stack.pod_watch import watch_pods

SHORT = (
    *((variant, "") for variant in (*REFERENCES, *POD_VARIANTS)),
    *((variant, RESULT) for variant in POD_VARIANTS),
)
"""Variant and suffix of the DAGs of a block of short runs."""

SHORT_BLOCKS, LONG_BLOCKS = 6, 3
"""Blocks in which every variant runs twice."""


def plan_short_runs(scene: Scene) -> Part:
    """Return the part of pods that do nothing, and of tasks without a pod."""
    names = [name_dag(variant, suffix) for variant, suffix in SHORT]
    return _plan("short", scene, names, SHORT_BLOCKS, "Short runs")


def plan_long_runs(scene: Scene) -> Part:
    """Return the part of pods of 20 s."""
    names = [name_dag(variant, LONG) for variant in (STOCK, TEAM, AT_ONCE)]
    return _plan("long", scene, names, LONG_BLOCKS, "Pods of 20 s")


def _plan(name: str, scene: Scene, dags: list[str], blocks: int, title: str) -> Part:
    runs = _Runs(scene, dags)
    return Part(name, tuple(f"block {number}" for number in range(1, blocks + 1)), runs.measure, title)


class _Runs:
    """Plays the blocks; before the first, each DAG runs once to warm up."""

    def __init__(self, scene: Scene, dags: list[str]) -> None:
        self._scene, self._dags, self._is_warm = scene, dags, False

    def measure(self, _: str) -> dict[str, Any]:
        """Return the samples of a block by DAG."""
        samples: dict[str, Any] = {dag: [] for dag in self._dags}
        pods = PodTimes()
        with watch_pods(self._scene.stack, observed=pods):
            if not self._is_warm:
                for dag in self._dags:
                    self._play(dag, pods)
                self._is_warm = True
            for dag in mirror(self._dags):
                samples[dag].append(self._play(dag, pods))
        return samples

    def _play(self, dag: str, pods: PodTimes) -> Marks:
        has_pod = dag not in map(name_dag, REFERENCES)
        # A task that is never deferred has the marks of one process.
        with_log = dag in (name_dag(TEAM), name_dag(TEAM, RESULT))
        return self._scene.play(dag, pods if has_pod else None, with_log=with_log)
