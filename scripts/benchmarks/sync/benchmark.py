"""The benchmark of a synchronous task with a pod: stock engine and ours in turn, on the local cluster."""

from __future__ import annotations

from pathlib import Path

from benchmarks.machine import read_conditions
from benchmarks.parts import complete_parts, read_parts
from benchmarks.record import PAGE
from benchmarks.sync.idle_runs import plan_idle
from benchmarks.sync.line_runs import plan_backlog, plan_lines
from benchmarks.sync.long_runs import plan_long_runs
from benchmarks.sync.page import SECTION
from benchmarks.sync.scene import open_scene
from benchmarks.sync.short_runs import plan_short_runs
from common.steps import Steps
from stack.install import install_stack
from stack.sample_run import connect_airflow


def measure(steps: Steps) -> Path:
    """Measure what docs/benchmarks/sync.json lacks, and write the page.

    An interrupted benchmark continues. Delete a part of the file, or the file, to measure it again.

    Args:
        steps: receives the progress.

    Returns:
        The page.
    """
    parts = read_parts(SECTION, read_conditions())
    stack = install_stack(steps)
    with steps.step("Push the DAGs to team alpha's repository, and wait until Airflow has loaded them"):
        scene = open_scene(stack, connect_airflow(stack))
    plans = (
        plan_short_runs(scene),
        plan_long_runs(scene),
        plan_lines(scene),
        plan_backlog(scene),
        plan_idle(steps, stack),
    )
    complete_parts(steps, parts, plans)
    return PAGE
