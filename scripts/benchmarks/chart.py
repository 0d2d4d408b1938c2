"""Size of the chart and duration of its rendering; needs no cluster."""

from __future__ import annotations

import json
import resource
import statistics
import time
from pathlib import Path
from typing import Any

from common.command import capture_output
from common.paths import REPOSITORY
from common.steps import Steps
from common.values_schema import list_settable_paths
from local_cluster import cluster
from stack.release import CHART, NAMESPACE, RELEASE

_TRIES = 11
_TEAMS = {"alpha": {"dags": {"repo": "https://git.example.com/alpha.git"}}, "beta": {"owners": [{"group": "beta"}]}}


def measure(steps: Steps) -> dict[str, Any]:
    """Count values and template lines, and render a release with two teams.

    Args:
        steps: receives the progress.
    """
    helm = cluster.programs_folder() / "helm"
    with steps.step(f"helm template of two teams, {_TRIES} times"):
        wall, cpu = zip(*[_render(helm) for _ in range(_TRIES)], strict=True)
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    lengths = sorted(_template_lengths())
    return {
        "title": "The chart",
        "text": "Values: the settable ones; team fields count once. Rendering: `helm template` with two teams, "
        f"{_TRIES} times; CPU time is independent of other work on the machine.",
        "columns": ["measurement", "value"],
        "rows": [
            ["values", str(len(list_settable_paths(schema)))],
            ["templates", str(len(lengths))],
            ["lines per template, median and maximum", f"{statistics.median(lengths):g} and {lengths[-1]}"],
            ["`helm template`, minimum and median", _format_seconds(wall)],
            ["its CPU time, minimum and median", _format_seconds(cpu)],
        ],
    }


def _template_lengths() -> list[int]:
    """Return the number of lines of every template."""
    names = capture_output(["git", "ls-files", str(CHART / "templates")], cwd=REPOSITORY).splitlines()
    return [len((REPOSITORY / name).read_text(encoding="utf-8").splitlines()) for name in names]


def _render(helm: Path) -> tuple[float, float]:
    """Return wall-clock and CPU seconds of one rendering."""
    words: list[str | Path] = [helm, "template", RELEASE, CHART, "--namespace", NAMESPACE, "--values", "-"]
    start, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    capture_output(words, stdin=json.dumps({"teams": _TEAMS}))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.monotonic() - start, cpu_seconds


def _format_seconds(durations: tuple[float, ...]) -> str:
    return f"{min(durations):.2f} s and {statistics.median(durations):.2f} s"
