"""Duration from a code change to its effect, with the stack running."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from common.command import capture_output, run_logged
from common.paths import REPOSITORY, cache_path
from common.steps import Steps
from stack.install import install_stack

_CHANGED = "platform/kpo_platform/airflow/operators/team_pod.py"
_RUNS = 3


def measure(steps: Steps) -> dict[str, Any]:
    """Measure a task and an upgrade of the stack after changes of the operator in a copy of the checkout.

    Args:
        steps: receives the progress.
    """
    install_stack(steps)
    with tempfile.TemporaryDirectory(prefix="kpo-") as folder:
        copy = _copy_checkout(Path(folder, "checkout"))
        rows = []
        for name, words in {
            "one task (scripts/run-task)": ["scripts/run-task", "dags/hello_team.py", "hello"],
            "the whole stack (scripts/quickstart)": ["scripts/quickstart"],
        }.items():
            seconds = []
            for number in range(1 + _RUNS):
                _append_comment(copy, f"{name} {number}")
                seconds.append(_run_command(steps, name, copy, words))
            rows.append([name, *(round(duration, 1) for duration in sorted(seconds[1:]))])
    return {
        "title": "From a change to its effect",
        "text": f"Seconds from a change of {Path(_CHANGED).name} to the end of the command that shows its effect, with "
        f"the stack running; {_RUNS} runs after a discarded one, sorted.",
        "columns": ["command", "minimum", "median", "maximum"],
        "rows": rows,
    }


def _copy_checkout(folder: Path) -> Path:
    """Copy the checkout's git files, without its environment."""
    files = capture_output(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=REPOSITORY
    ).splitlines()
    for name in files:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(REPOSITORY / name, target, follow_symlinks=False)
    return folder


def _append_comment(copy: Path, text: str) -> None:
    with (copy / _CHANGED).open("a", encoding="utf-8") as code:
        code.write(f"# {text}\n")


def _run_command(steps: Steps, name: str, copy: Path, words: Sequence[str]) -> float:
    with steps.step(name):
        start = time.monotonic()
        run_logged([copy / words[0], *words[1:]], cache_path("logs", "bench-loop.log"), timeout_s=600, cwd=copy)
        return time.monotonic() - start
