"""How big the chart is, and what a rendering of it costs: no cluster is asked."""

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
from common.values_schema import settable_paths
from local_cluster import cluster
from stack.release import CHART, NAMESPACE, RELEASE

_TRIES = 11
_TEAMS = {"alpha": {"dags": {"repo": "https://git.example.com/alpha.git"}}, "beta": {"owners": [{"group": "beta"}]}}


def measure(steps: Steps) -> dict[str, Any]:
    """Count values and template lines, and render a release with two teams.

    Args:
        steps: told about progress.
    """
    helm = cluster.programs() / "helm"
    with steps.step(f"helm template of two teams, {_TRIES} times") as step:
        wall, processor = zip(*[_render(helm) for _ in range(_TRIES)], strict=True)
        step.detail("done")
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    lines = sorted(_lengths())
    return {
        "title": "The chart",
        "text": f"Values: what can be set, a team's fields counted once. Rendering: `helm template` with two teams, "
        f"{_TRIES} times; the processor's time counts what it costs, the other also what else the machine was doing.",
        "columns": ["what", "figure"],
        "rows": [
            ["values", str(len(settable_paths(schema)))],
            ["templates", str(len(lines))],
            ["lines of a template, median and most", f"{statistics.median(lines):g} and {lines[-1]}"],
            ["`helm template`, fastest and median", _seconds(wall)],
            ["the same, processor", _seconds(processor)],
        ],
    }


def _lengths() -> list[int]:
    """The lines of every template of the chart."""
    listed = capture_output(["git", "ls-files", str(CHART / "templates")], cwd=REPOSITORY).splitlines()
    return [len((REPOSITORY / name).read_text(encoding="utf-8").splitlines()) for name in listed]


def _render(helm: Path) -> tuple[float, float]:
    """Seconds of one rendering: on the clock, and of the processor."""
    words: list[str | Path] = [helm, "template", RELEASE, CHART, "--namespace", NAMESPACE, "--values", "-"]
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    capture_output(words, stdin=json.dumps({"teams": _TEAMS}))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.monotonic() - began, used


def _seconds(taken: tuple[float, ...]) -> str:
    return f"{min(taken):.2f} s and {statistics.median(taken):.2f} s"
