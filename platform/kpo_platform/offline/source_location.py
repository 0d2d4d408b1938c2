"""Find the line of a DAG file where a task, or one of its arguments, is written."""

from __future__ import annotations

import ast
import sys
from functools import cache
from pathlib import Path
from types import FrameType


def find_caller(root: str) -> tuple[str, int] | None:
    """Return file and line of the innermost caller whose file is below a folder."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_filename.startswith(root):
            return frame.f_code.co_filename, frame.f_lineno
        frame = frame.f_back
    return None


def find_line(file: str, call_line: int | None, task_id: str, argument: str) -> int:
    """Return the line of a task's argument; otherwise of the call that creates the task; otherwise 1.

    Args:
        file: the DAG file.
        call_line: the line of the call, if known.
        task_id: the task's id without the prefix of its task groups.
        argument: the argument's name; empty for the call itself.
    """
    calls = _parse_calls(file)
    call = next((call for call in calls if call.lineno == call_line), None) if call_line else None
    call = call or next((call for call in calls if _has_task_id(call, task_id)), None)
    if call is None:
        return call_line or 1
    argument_lines = (keyword.value.lineno for keyword in call.keywords if keyword.arg == argument)
    return next(argument_lines, call_line or call.lineno)


@cache
def _parse_calls(file: str) -> tuple[ast.Call, ...]:
    try:
        tree = ast.parse(Path(file).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return ()
    return tuple(node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.keywords)


def _has_task_id(call: ast.Call, task_id: str) -> bool:
    return any(
        keyword.arg == "task_id" and isinstance(keyword.value, ast.Constant) and keyword.value.value == task_id
        for keyword in call.keywords
    )
