"""How long `scripts/quickstart` takes: on a fresh machine, with everything cached, with everything up."""

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
    """Run quickstart from each state of the machine and give its step times as a table.

    Args:
        steps: told about progress.
        cold: also from empty caches, which takes a quarter to half an hour.
    """
    runs: dict[str, dict[str, float]] = {}
    _cluster("down")
    if cold:
        with tempfile.TemporaryDirectory(prefix="kpo-", dir=cache_path().parent) as folder:
            fresh = _empty_caches(Path(folder))
            shutil.rmtree(REPOSITORY / ".venv", ignore_errors=True)
            try:
                runs["fresh machine"] = _quickstart(steps, "from empty caches", fresh)
            finally:
                _cluster("down", fresh)
    runs["all cached"] = _quickstart(steps, "with toolchain and images cached", {})
    runs["all up"] = _quickstart(steps, "with everything up", {})
    names = list(dict.fromkeys(name for times in runs.values() for name in times))
    return {
        "title": "scripts/quickstart, step by step",
        "text": "Seconds per step. *Fresh machine*: every cache empty, of modules, builds and packages alike; Debian "
        "packages and Go as the machine has them. *All cached*: toolchain and images from an earlier run, no cluster. "
        "*All up*: a second run.",
        "columns": ["step", *runs],
        "rows": [[name, *(round(times.get(name, 0), 1) for times in runs.values())] for name in names]
        + [["**all**", *(round(sum(times.values()), 1) for times in runs.values())]],
    }


def _empty_caches(folder: Path) -> dict[str, str]:
    """Give the variables that lead to empty caches: none where nothing was built yet, so that a build is of use."""
    if not cache_path("toolchain").exists():
        return {}
    # An own cache folder is as good as a fresh machine; Debian's packages stay installed.
    return {name: f"{folder}/{name.lower()}" for name in _CACHES}


def _quickstart(steps: Steps, how: str, env: dict[str, str]) -> dict[str, float]:
    with steps.step(f"scripts/quickstart {how}") as step:
        log = cache_path("logs", "bench-quickstart.log")
        run_logged([REPOSITORY / "scripts" / "quickstart"], log, timeout_s=5400, env=env, progress=step.detail)
    cache = Path(env["XDG_CACHE_HOME"], "kpo-platform") if env else cache_path()
    times = json.loads((cache / "results" / _STEPS).read_text(encoding="utf-8"))
    return {time["name"]: time["seconds"] for time in times if time["depth"] == 0}


def _cluster(command: str, env: dict[str, str] | None = None) -> None:
    words: list[str | Path] = [sys.executable, REPOSITORY / "scripts" / "cluster", command]
    run_logged(words, cache_path("logs", "bench-cluster.log"), timeout_s=300, env={**os.environ, **(env or {})})
