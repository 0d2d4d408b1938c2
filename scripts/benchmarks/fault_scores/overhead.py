"""How much longer a failing task takes with its diagnosis."""

from __future__ import annotations

import statistics

from benchmarks.fault_scores.catalogue.end import failed
from benchmarks.fault_scores.draw import Draw
from benchmarks.fault_scores.scene import Scene

PAIRS = 10


def measure_overhead(scene: Scene, draw: Draw, team: str) -> tuple[float, float]:
    """Run failing tasks in turn with and without a diagnosis; return the medians of their seconds.

    Args:
        scene: the place.
        draw: draws names.
        team: the team of the tasks.
    """
    seconds: dict[bool, list[float]] = {True: [], False: []}
    for number in range(2 * PAIRS):
        is_diagnosed = number % 4 in (0, 3)
        fault = failed(draw)
        task = {"team": team, "namespace": f"team-{team}", "name": draw.name(), "pod": fault.build_pod()}
        run = scene.operators.run("team", {**task, "arguments": {}, "startup_timeout_s": 30}, is_diagnosed=is_diagnosed)
        seconds[is_diagnosed].append(run.ended_at - run.began_at)
    return statistics.median(seconds[True]), statistics.median(seconds[False])
