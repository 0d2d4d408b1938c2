"""Where in a DAG file a task is written, and each of its arguments."""

from __future__ import annotations

import ast
import sys
from functools import cache
from pathlib import Path
from types import FrameType


def caller(root: str) -> tuple[str, int] | None:
    """The file below a folder, and the line in it, from which the code that asks was called."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_filename.startswith(root):
            return frame.f_code.co_filename, frame.f_lineno
        frame = frame.f_back
    return None


def line(file: str, called: int | None, task_id: str, argument: str) -> int:
    """The line of an argument, else that of the call that makes the task, else the first one.

    Args:
        file: the DAG file.
        called: the line of the call, where it is known.
        task_id: the task's id, without those of its groups.
        argument: the argument's name; empty for the call itself.
    """
    calls = _calls(file)
    made = next((call for call in calls if call.lineno == called), None) if called else None
    made = made or next((call for call in calls if _names(call, task_id)), None)
    if made is None:
        return called or 1
    return next((each.value.lineno for each in made.keywords if each.arg == argument), called or made.lineno)


@cache
def _calls(file: str) -> tuple[ast.Call, ...]:
    try:
        tree = ast.parse(Path(file).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return ()
    return tuple(node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.keywords)


def _names(call: ast.Call, task_id: str) -> bool:
    return any(
        each.arg == "task_id" and isinstance(each.value, ast.Constant) and each.value.value == task_id
        for each in call.keywords
    )
