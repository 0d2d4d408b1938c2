"""The child process: answer one request of the parent; see the package's docstring for the protocol."""

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
OnEvent = Callable[[dict[str, Any]], None]
"""Takes an event."""


def render(request: Request, _: OnEvent) -> Any:
    """Render the pod of a task; return it as JSON."""
    from kpo_platform.airflow.operators.arguments.serialize import serialize_pod
    from kpo_platform.offline.render import render_pod

    return serialize_pod(render_pod(_find_task(request), _parse_run_settings(request)))


def run(request: Request, on_event: OnEvent) -> Any:
    """Run the pod of a task; return the outcome as JSON. The event is the pod's name."""
    from kpo_platform.offline.run import run_pod

    return asdict(run_pod(_find_task(request), _parse_run_settings(request), request["until"], on_event))


def lint(request: Request, _: OnEvent) -> Any:
    """Lint the DAG files of a folder; return the findings as JSON."""
    from kpo_platform.offline.lint import lint_folder

    file_count, findings = lint_folder(Path(request["root"]))
    return {"files": file_count, "findings": [asdict(finding) for finding in findings]}


def _find_task(request: Request) -> Any:
    from kpo_platform.offline.dag_bag import find_task, read_dags

    file = request["file"] and Path(request["file"])
    bag = read_dags(Path(request["root"]), file)
    return find_task(bag, request["dag"], request["task"], is_file=bool(file))


def _parse_run_settings(request: Request) -> Any:
    from kpo_platform.offline.task_instance import DagRunSettings

    run_settings = request["run_settings"]
    return DagRunSettings(**{**run_settings, "logical_date": datetime.fromisoformat(run_settings["logical_date"])})


COMMANDS: dict[str, Callable[[Request, OnEvent], Any]] = {"lint": lint, "render": render, "run": run}


def answer_request(request: Request, on_event: OnEvent) -> dict[str, Any]:
    """Run the command of a request; return its ``result``, or an ``error`` and its ``kind``."""
    try:
        return {"result": COMMANDS[request["command"]](request, on_event)}
    except PlatformError as error:
        # Subclasses outside kpo_platform.errors are unknown to the parent process.
        kind = next(base for base in type(error).__mro__ if base.__module__ == PlatformError.__module__)
        return {"error": str(error), "kind": kind.__name__}


def main() -> None:
    """Answer the request on stdin."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1) as stdout:
        os.dup2(2, 1)  # from here on, print() writes to stderr
        answer = answer_request(json.load(sys.stdin), lambda event: print(json.dumps({"event": event}), file=stdout))
        print(json.dumps(answer), file=stdout)


if __name__ == "__main__":
    main()
