"""How big the chart is, and what a rendering of it costs: no cluster is asked."""

from __future__ import annotations

import json
import resource
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common.paths import REPOSITORY
from common.run import capture
from common.steps import Steps
from local_cluster import cluster
from road.stack import CHART, NAMESPACE, RELEASE

_TRIES = 11
_TEAM = "#/$defs/team"
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
            ["values", str(sum(1 for _ in _values(schema, schema)))],
            ["templates", str(len(lines))],
            ["lines of a template, median and most", f"{statistics.median(lines):g} and {lines[-1]}"],
            ["`helm template`, fastest and median", _seconds(wall)],
            ["the same, processor", _seconds(processor)],
        ],
    }


def _values(part: dict[str, Any], schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every field below a part of the schema that holds no named fields; teams are those of teamDefaults.

    An object of Kubernetes' own, which the schema refers to as well, is one value.
    """
    fields = [field for name, field in part.get("properties", {}).items() if part is not schema or name != "teams"]
    below = [part[inner] for inner in ("items", "additionalProperties") if isinstance(part.get(inner), dict)]
    for field in fields:
        whole = {**schema["$defs"]["team"], **field} if field.get("$ref") == _TEAM else field
        if "properties" not in whole:
            yield whole
        yield from _values(whole, schema)
    for inner in below:
        yield from _values(inner, schema)


def _lengths() -> list[int]:
    """The lines of every template of the chart."""
    listed = capture(["git", "ls-files", str(CHART / "templates")], cwd=REPOSITORY).splitlines()
    return [len((REPOSITORY / name).read_text(encoding="utf-8").splitlines()) for name in listed]


def _render(helm: Path) -> tuple[float, float]:
    """Seconds of one rendering: on the clock, and of the processor."""
    words: list[str | Path] = [helm, "template", RELEASE, CHART, "--namespace", NAMESPACE, "--values", "-"]
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    capture(words, stdin=json.dumps({"teams": _TEAMS}))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.monotonic() - began, used


def _seconds(taken: tuple[float, ...]) -> str:
    return f"{min(taken):.2f} s and {statistics.median(taken):.2f} s"
