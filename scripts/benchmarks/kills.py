"""A soak of kills: work of tasks that is lost or done twice."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from benchmarks.machine import read_conditions
from common.files import write_atomically
from common.paths import cache_path
from common.steps import Steps
from faults.kills import FILE, Tally, kill_every_task
from faults.scene import open_scene
from stack.install import changed_release, install_stack
from stack.sample_run import connect_airflow

KILLS = 1000

_VALUES = {"config": {"scheduler": {"task_instance_heartbeat_timeout": "60"}}}
"""Airflow notices a killed process after a minute instead of five, which would be most of a round."""


def measure(steps: Steps) -> dict[str, Any]:
    """Kill tasks at every phase of their run, 1,000 in all; an interrupted soak of the same commit continues.

    Args:
        steps: receives the progress.
    """
    file = cache_path("soak", f"kills-{read_conditions()['commit']}.json")
    rounds = [Tally(**content) for content in json.loads(file.read_text())] if file.exists() else []
    stack = install_stack(steps)
    with changed_release(steps, stack, _VALUES), open_scene(stack, connect_airflow(stack), (FILE,)) as scene:
        while sum(tally.kills for tally in rounds) < KILLS:
            with steps.step(
                f"Round {len(rounds) + 1}: {sum(tally.kills for tally in rounds)} of {KILLS} kills"
            ) as step:
                rounds.append(kill_every_task(scene))
                step.detail(str(rounds[-1]))
            write_atomically(file, json.dumps([asdict(tally) for tally in rounds]))
    return render_tallies(rounds)


def render_tallies(rounds: list[Tally]) -> dict[str, Any]:
    """Return the result of all rounds."""
    failed = sum(len(tally.failed) for tally in rounds)
    lost, doubled = (sum(len(getattr(tally, name)) for tally in rounds) for name in ("lost", "doubled"))
    running = sum(tally.running for tally in rounds)
    return {
        "title": "Kills of tasks",
        "text": "Processes of tasks killed by SIGTERM and SIGKILL, each task once: before `execute`, while the pod is "
        "created, pending or running, at the end of the pod's log, while the pod is deleted, and in the re-entry of a "
        "deferred task. Here Airflow takes a process for lost after a minute without a heartbeat, and each task has "
        "three retries. Each program records its start and its end. Failed: not successful after all retries. Lost: "
        "successful without its work or result. Doubled: the work was done more than once.",
        "columns": ["kills", "rounds", "failed tasks", "lost", "doubled", "pods still running"],
        "rows": [[sum(tally.kills for tally in rounds), len(rounds), failed, lost, doubled, running]],
    }
