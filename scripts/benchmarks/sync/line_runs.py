"""Numbered lines: 10^6 while the kubelet rotates the log, and a log that is already written."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from benchmarks.parts import Part
from benchmarks.sync.numbered_lines import BACKLOG, LINES, check_lines
from benchmarks.sync.scene import Scene, read_lines
from benchmarks.sync.variants import STOCK, TEAM, mirror, name_dag

_DEADLINE_S = 1200.0


def plan_lines(scene: Scene) -> Part:
    """Return the part: two runs of each engine."""
    plan = tuple(mirror((TEAM, STOCK)))
    return Part("lines", plan, lambda engine: _measure(scene, engine, "_lines", LINES), "10^6 numbered lines")


def plan_backlog(scene: Scene) -> Part:
    """Return the part: two deferred tasks of each engine, which read the log once the pod has ended."""
    plan = tuple(mirror((TEAM, STOCK)))
    return Part("backlog", plan, lambda engine: _measure(scene, engine, "_backlog", BACKLOG), "A written log")


def _measure(scene: Scene, engine: str, suffix: str, total: int) -> dict[str, Any]:
    """Return what came of the lines; the log of up to 300 MB is deleted."""
    run = scene.trigger(name_dag(engine, suffix))
    scene.wait_for_end(run, _DEADLINE_S)
    scene.read_log_marks(run, "work")  # waits until the log is complete
    file = scene.find_log(run, "work")
    try:
        return {"engine": engine, **asdict(check_lines(read_lines(file), total))}
    finally:
        file.unlink()
