"""How long a developer waits from a change of the code to its effect, with the stack running."""

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
    """Change the operator in a copy of the checkout, run one task with it, and then reload the whole stack with it.

    Args:
        steps: told about progress.
    """
    install_stack(steps)
    with tempfile.TemporaryDirectory(prefix="kpo-") as folder:
        copy = _copy(Path(folder, "checkout"))
        rows = []
        for name, words in {
            "one task (scripts/run-task)": ["scripts/run-task", "dags/hello_team.py", "hello"],
            "the whole stack (scripts/quickstart)": ["scripts/quickstart"],
        }.items():
            seconds = []
            for turn in range(1 + _RUNS):
                _change(copy, f"{name} {turn}")
                seconds.append(_timed(steps, name, copy, words))
            rows.append([name, *(round(one, 1) for one in sorted(seconds[1:]))])
    return {
        "title": "From a change to its effect",
        "text": f"Seconds from a change of {Path(_CHANGED).name} to the end of the command that shows its effect, the "
        f"stack running beside it; {_RUNS} runs after one that counts for nothing, sorted.",
        "columns": ["what is seen", "fastest", "middle", "slowest"],
        "rows": rows,
    }


def _copy(folder: Path) -> Path:
    """Copy the checkout without its environment; git tells what belongs to it."""
    files = capture_output(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=REPOSITORY
    ).splitlines()
    for name in files:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(REPOSITORY / name, target, follow_symlinks=False)
    return folder


def _change(copy: Path, what: str) -> None:
    with (copy / _CHANGED).open("a", encoding="utf-8") as code:
        code.write(f"# {what}\n")


def _timed(steps: Steps, name: str, copy: Path, words: Sequence[str]) -> float:
    with steps.step(name):
        began = time.monotonic()
        run_logged([copy / words[0], *words[1:]], cache_path("logs", "bench-loop.log"), timeout_s=600, cwd=copy)
        return time.monotonic() - began
