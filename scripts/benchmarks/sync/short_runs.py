"""Short runs in turn: the plain client, a Python task, and a pod that does nothing, with both engines."""

from __future__ import annotations

import random
import time
from typing import Any

from kubernetes import client, config

from benchmarks.parts import Part
from benchmarks.sync.plain_client import copy_pod, run_plain_pod
from benchmarks.sync.pod_times import PodTimes
from benchmarks.sync.scene import PYTHON_DAG, Scene
from benchmarks.sync.variants import (
    PLAIN,
    PLAIN_RESULT,
    PYTHON,
    SAMPLES,
    STOCK,
    STOCK_RESULT,
    TEAM,
    TEAM_RESULT,
    VARIANTS,
    mirror,
    name_dag,
)
from stack.pod_watch import watch_pods

_DAGS = {
    PYTHON: PYTHON_DAG,
    TEAM: name_dag(TEAM),
    STOCK: name_dag(STOCK),
    TEAM_RESULT: name_dag(TEAM, "_result"),
    STOCK_RESULT: name_dag(STOCK, "_result"),
}
"""Variant → DAG."""

_COPIED = {PLAIN: TEAM, PLAIN_RESULT: TEAM_RESULT}
"""Variant of the plain client → the one whose pod it copies, so that both run the same program."""


def plan_short_runs(scene: Scene) -> Part:
    """Return the part: blocks in which every variant runs twice, in mirrored order."""
    runs = _ShortRuns(scene)
    return Part("short", tuple(f"block {number}" for number in range(1, SAMPLES // 2 + 1)), runs.measure, "Short runs")


class _ShortRuns:
    """Plays the blocks; before the first, each variant runs once to warm up."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._api = client.CoreV1Api(config.new_client_from_config(str(scene.stack.kubeconfig)))
        self._pods: dict[str, dict[str, Any]] = {}

    def measure(self, _: str) -> dict[str, list[Any]]:
        """Return the samples of a block by variant: marks, or the seconds of the plain client."""
        samples: dict[str, list[Any]] = {variant: [] for variant in VARIANTS}
        pods = PodTimes()
        with watch_pods(self._scene.stack, observed=pods):
            if not self._pods:
                self._warm_up(pods)
            for variant in mirror(VARIANTS):
                samples[variant].append(self._play(variant, pods))
        return samples

    def _warm_up(self, pods: PodTimes) -> None:
        for variant in reversed(VARIANTS):  # the plain client copies the pod of a task
            self._play(variant, pods)

    def _play(self, variant: str, pods: PodTimes) -> Any:
        if variant in _COPIED:
            _pause()
            pod = copy_pod(self._pods[_COPIED[variant]], f"sync-plain-{time.time_ns()}")
            return round(run_plain_pod(self._api, pod), 3)
        sample = self._scene.play(_DAGS[variant], None if variant == PYTHON else pods)
        if variant in _COPIED.values():
            self._pods[variant] = pods.with_labels(dag_id=_DAGS[variant])[-1]
        return sample


def _pause() -> None:
    """Wait as before the other runs, so that what these have left to do does not count, and for a random moment.

    The kubelet looks at its containers once a second, and the client's last run ended at such a look: at a fixed
    distance from it, all runs of the client would take the same time, and not that of a pod at any moment.
    """
    time.sleep(1 + random.random())
