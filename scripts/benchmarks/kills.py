"""A soak of kills: work of tasks that is lost or done twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from benchmarks.machine import read_conditions
from common.files import write_atomically
from common.paths import cache_path
from common.steps import Steps
from faults.kills import FILE, Tally, kill_every_task
from faults.scene import open_scene
from stack.install import install_release, install_stack
from stack.release import Stack
from stack.sample_run import connect_airflow

KILLS = 1000


def measure(steps: Steps) -> dict[str, Any]:
    """Kill tasks at every phase of their run, 1,000 in all; an interrupted soak of the same commit continues.

    Args:
        steps: receives the progress.
    """
    file = cache_path("soak", f"kills-{read_conditions()['commit']}.json")
    rounds = [Tally(**content) for content in json.loads(file.read_text())] if file.exists() else []
    stack = install_stack(steps)
    with _short_heartbeat_timeout(steps, stack), open_scene(stack, connect_airflow(stack), (FILE,)) as scene:
        while sum(tally.kills for tally in rounds) < KILLS:
            with steps.step(
                f"Round {len(rounds) + 1}: {sum(tally.kills for tally in rounds)} of {KILLS} kills"
            ) as step:
                rounds.append(kill_every_task(scene))
                step.detail(str(rounds[-1]))
            write_atomically(file, json.dumps([asdict(tally) for tally in rounds]))
    return render_tallies(rounds)


@contextmanager
def _short_heartbeat_timeout(steps: Steps, stack: Stack) -> Iterator[None]:
    """Let Airflow notice a killed process after a minute instead of five, which are most of a round."""
    with TemporaryDirectory(prefix="kpo-platform-") as folder:
        values = Path(folder) / "values.yaml"
        values.write_text(yaml.safe_dump({"config": {"scheduler": {"task_instance_heartbeat_timeout": "60"}}}))
        try:
            install_release(steps, stack, values)
            yield
        finally:
            install_release(steps, stack)


def render_tallies(rounds: list[Tally]) -> dict[str, Any]:
    """Return the result of all rounds."""
    failed = sum(len(tally.failed) for tally in rounds)
    lost, doubled = (sum(len(getattr(tally, name)) for tally in rounds) for name in ("lost", "doubled"))
    running = sum(tally.running for tally in rounds)
    return {
        "title": "Kills of tasks",
        "text": "Processes of tasks killed by SIGTERM and SIGKILL, each task once: before `execute`, while the pod is "
        "created, pending or running, at the end of its log, while it is deleted, and in the re-entry of a deferred "
        "task. Airflow fails a task after a minute without heartbeat. The pods' programs write a ledger. Lost: "
        "successful without the work. Doubled: the work done twice.",
        "columns": ["kills", "rounds", "failed tasks", "lost", "doubled", "pods that run on"],
        "rows": [[sum(tally.kills for tally in rounds), len(rounds), failed, lost, doubled, running]],
    }
