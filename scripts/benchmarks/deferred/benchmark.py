"""The benchmark of deferred tasks: the stock trigger and the platform's in turn, on the local cluster."""

from __future__ import annotations

from pathlib import Path

from benchmarks.deferred.burst import plan_burst
from benchmarks.deferred.load.plans import plan_loss, plan_triggers
from benchmarks.deferred.many_runs import plan_many_runs
from benchmarks.deferred.no_preload import plan_no_preload
from benchmarks.deferred.page import SECTION
from benchmarks.deferred.short_runs import plan_long_runs, plan_short_runs
from benchmarks.deferred.variants import list_dag_ids, read_dag_files
from benchmarks.machine import read_conditions
from benchmarks.parts import complete_parts, read_parts
from benchmarks.record import PAGE
from benchmarks.sync.scene import Scene, find_log_folder, push_dags
from common.steps import Steps
from stack.install import changed_release, install_stack
from stack.release import Stack
from stack.sample_run import connect_airflow
from stack.shared_logs import CLAIM, VALUES, shared_log_claim


def measure(steps: Steps) -> Path:
    """Measure what docs/benchmarks/deferred.json lacks, and write the page.

    An interrupted benchmark continues. Delete a part of the file, or the file, to measure it again.

    Args:
        steps: receives the progress.

    Returns:
        The page.
    """
    parts = read_parts(SECTION, read_conditions())
    stack = install_stack(steps)
    with shared_log_claim(stack), changed_release(steps, stack, VALUES):
        scene = _open_scene(steps, stack)
        plans = (
            plan_short_runs(scene),
            plan_long_runs(scene),
            plan_triggers(steps, scene),
            plan_many_runs(scene),
            plan_no_preload(steps, scene),
            plan_burst(scene),
            plan_loss(steps, scene),
        )
        complete_parts(steps, parts, plans)
    return PAGE


def _open_scene(steps: Steps, stack: Stack) -> Scene:
    with steps.step("Push the DAGs to team alpha's repository, and wait until Airflow has loaded them"):
        airflow = connect_airflow(stack)
        push_dags(stack, airflow, "deferred", read_dag_files(), list_dag_ids())
        return Scene(stack, airflow, find_log_folder(CLAIM))
