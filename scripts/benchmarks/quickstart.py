"""Duration of `scripts/quickstart` on a fresh machine, with warm caches, and with everything running."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from common.command import run_logged
from common.paths import REPOSITORY, cache_path
from common.steps import Steps

_STEPS = "quickstart-steps.json"
_CACHES = ("XDG_CACHE_HOME", "GOCACHE", "GOMODCACHE", "PIP_CACHE_DIR", "UV_CACHE_DIR")


def measure(steps: Steps, *, cold: bool = False) -> dict[str, Any]:
    """Run quickstart in each state of the machine and return its step durations as a table.

    Args:
        steps: receives the progress.
        cold: also with empty caches, which takes up to half an hour.
    """
    runs: dict[str, dict[str, float]] = {}
    _run_cluster("down")
    if cold:
        with tempfile.TemporaryDirectory(prefix="kpo-", dir=cache_path().parent) as folder:
            fresh = _empty_caches(Path(folder))
            shutil.rmtree(REPOSITORY / ".venv", ignore_errors=True)
            try:
                runs["empty caches"] = _run_quickstart(steps, "with empty caches", fresh)
            finally:
                _run_cluster("down", fresh)
    runs["warm caches"] = _run_quickstart(steps, "with warm caches", {})
    runs["second run"] = _run_quickstart(steps, "with everything running", {})
    names = list(dict.fromkeys(name for times in runs.values() for name in times))
    return {
        "title": "Steps of scripts/quickstart",
        "text": "Seconds per step. *Empty caches*: modules, builds and packages are downloaded and built; Debian "
        "packages and Go are installed. *Warm caches*: programs and images of an earlier run, no cluster. "
        "*Second run*: everything is running.",
        "columns": ["step", *runs],
        "rows": [[name, *(round(times.get(name, 0), 1) for times in runs.values())] for name in names]
        + [["**total**", *(round(sum(times.values()), 1) for times in runs.values())]],
    }


def _empty_caches(folder: Path) -> dict[str, str]:
    """Return environment variables that set empty caches.

    Returns none if nothing has been built yet: the usual caches are empty, and the build is kept.
    """
    if not cache_path("toolchain").exists():
        return {}
    # An empty cache folder equals a fresh machine, except for installed Debian packages.
    return {name: f"{folder}/{name.lower()}" for name in _CACHES}


def _run_quickstart(steps: Steps, state: str, env: dict[str, str]) -> dict[str, float]:
    with steps.step(f"scripts/quickstart {state}") as step:
        log = cache_path("logs", "bench-quickstart.log")
        run_logged([REPOSITORY / "scripts" / "quickstart"], log, timeout_s=5400, env=env, progress=step.detail)
    cache = Path(env["XDG_CACHE_HOME"], "kpo-platform") if env else cache_path()
    times = json.loads((cache / "results" / _STEPS).read_text(encoding="utf-8"))
    return {time["name"]: time["seconds"] for time in times if time["depth"] == 0}


def _run_cluster(command: str, env: dict[str, str] | None = None) -> None:
    words: list[str | Path] = [sys.executable, REPOSITORY / "scripts" / "cluster", command]
    run_logged(words, cache_path("logs", "bench-cluster.log"), timeout_s=300, env={**os.environ, **(env or {})})
