"""The process in which platformctl has DAG files read: a request as JSON on stdin, the answer as JSON on stdout.

The answer is the last line; news of what goes on come before it, each a line. Whatever the files, Airflow or pods print
goes to stderr.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from kpo_platform.errors import PlatformError

Request = dict[str, Any]
Tell = Callable[[dict[str, Any]], None]
"""Takes news."""


def render(request: Request, _: Tell) -> Any:
    """The pod of a task, as JSON."""
    from kpo_platform.airflow.operators.arguments.serialize import as_json
    from kpo_platform.offline.render import rendered

    return as_json(rendered(_task(request), _attempt(request)).pod)


def run(request: Request, tell: Tell) -> Any:
    """How the run of a task's pod ended, as JSON; the news is its name."""
    from kpo_platform.offline.run import run as running

    return asdict(running(_task(request), _attempt(request), request["until"], tell))


def lint(request: Request, _: Tell) -> Any:
    """What speaks against the DAG files of a folder, as JSON."""
    from kpo_platform.offline.lint import lint as judge

    files, found = judge(Path(request["root"]))
    return {"files": files, "findings": [asdict(each) for each in found]}


def _task(request: Request) -> Any:
    from kpo_platform.offline.dag_bag import find_task, read

    file = request["file"] and Path(request["file"])
    bag = read(Path(request["root"]), file)
    return find_task(bag, request["dag"], request["task"], is_file=bool(file))


def _attempt(request: Request) -> Any:
    from kpo_platform.offline.task_instance import Attempt

    given = request["attempt"]
    return Attempt(**{**given, "logical_date": datetime.fromisoformat(given["logical_date"])})


COMMANDS: dict[str, Callable[[Request, Tell], Any]] = {"lint": lint, "render": render, "run": run}


def answer(request: Request, tell: Tell) -> dict[str, Any]:
    """What a request gives: its ``result``, or an ``error`` and the ``kind`` of it, a class of kpo_platform.errors."""
    try:
        return {"result": COMMANDS[request["command"]](request, tell)}
    except PlatformError as error:
        kind = next(each for each in type(error).__mro__ if each.__module__ == PlatformError.__module__)
        return {"error": str(error), "kind": kind.__name__}


def main() -> None:
    """Answer one request."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1) as stdout:
        os.dup2(2, 1)
        last = answer(json.load(sys.stdin), lambda news: print(json.dumps({"news": news}), file=stdout))
        print(json.dumps(last), file=stdout)


if __name__ == "__main__":
    main()
