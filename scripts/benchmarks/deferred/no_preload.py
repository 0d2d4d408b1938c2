"""Runs of the stock operator in an Airflow that preloads only its own modules, as one without the platform."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.deferred.many_runs import measure_run
from benchmarks.deferred.variants import MANY, MANY_LONG, STOCK, name_dag
from benchmarks.parts import Part
from benchmarks.sync.scene import Scene
from common.steps import Steps
from stack.install import install_release
from stack.release import CHART
from stack.shared_logs import VALUES

_PRELOAD = Path("charts", "code", "files", "kpo_platform", "airflow", "preload.py")
_NOTHING = '''\
"""Imports nothing, for a benchmark."""


def preload_modules(executor: str) -> None:
    """Import nothing."""


def preload_in_celery_worker() -> None:
    """Import nothing."""
'''


def plan_no_preload(steps: Steps, scene: Scene) -> Part:
    """Return the part: a run of each length of the pods."""

    def measure(dag: str) -> dict[str, Any]:
        with _release_without_preload(steps, scene):
            return measure_run(scene, dag)

    return Part("no_preload", (name_dag(STOCK, MANY), name_dag(STOCK, MANY_LONG)), measure, "No preload")


def write_chart(folder: Path) -> Path:
    """Write a copy of the chart that carries the package without its preload; return its path."""
    chart = folder / "chart"
    shutil.copytree(CHART, chart)
    file = chart / _PRELOAD
    file.unlink()  # fails, instead of adding a file, when the package keeps its preload elsewhere
    file.write_text(_NOTHING)
    return chart


@contextmanager
def _release_without_preload(steps: Steps, scene: Scene) -> Iterator[None]:
    with TemporaryDirectory(prefix="kpo-platform-") as name:
        folder = Path(name)
        values = folder / "values.json"
        values.write_text(json.dumps(VALUES))
        try:
            install_release(steps, scene.stack, values, packaged=write_chart(folder))
            yield
        finally:
            install_release(steps, scene.stack, values)
