"""A pod that writes 10^6 numbered lines while the kubelet rotates its log."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from benchmarks.sync.numbered_lines import check_lines
from benchmarks.sync.parts import Part
from benchmarks.sync.scene import Scene, read_lines
from benchmarks.sync.variants import STOCK, TEAM, mirror, name_dag

_DEADLINE_S = 1200.0


def plan_lines(scene: Scene) -> Part:
    """Return the part: two runs of each engine."""
    return Part("lines", tuple(mirror((TEAM, STOCK))), lambda engine: _measure(scene, engine), "10^6 numbered lines")


def _measure(scene: Scene, engine: str) -> dict[str, Any]:
    """Return what came of the lines; the log of some 300 MB is deleted."""
    run = scene.trigger(name_dag(engine, "_lines"))
    scene.wait_for_end(run, _DEADLINE_S)
    scene.read_log_marks(run, "work")  # waits until the log is complete
    file = scene.find_log(run, "work")
    try:
        return {"engine": engine, **asdict(check_lines(read_lines(file)))}
    finally:
        file.unlink()
