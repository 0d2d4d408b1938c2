"""Duration of requests to the Execution API with and without the guard, in one run."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from benchmarks.contract import PYTHONPATH, write_contract
from common.command import capture_output
from common.errors import ScriptError
from common.paths import REPOSITORY
from common.polling import NotYet, wait_for
from common.python_env import ensure_environment
from common.steps import Steps

_REQUESTS = 1000
_WARM_UP = 20
_START_S = 120
_STOP_S = 30
_TIMEOUT_S = 300
_WITHOUT, _WITH = "without", "with"


def measure(steps: Steps) -> dict[str, Any]:
    """Send each kind of request to two API servers in alternation: one with the guard, one without.

    Args:
        steps: receives the progress.
    """
    python = ensure_environment(steps.note) / "python"
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        environment = _build_environment(python, Path(folder))
        with steps.step("Create the database"):
            script = REPOSITORY / "scripts" / "benchmarks" / "execution_api_data.py"
            output = capture_output((python, script, Path(folder, "airflow.db")), env=environment, timeout_s=_TIMEOUT_S)
            data = json.loads(output.splitlines()[-1])
        with steps.step("Start two API servers"):
            contract = {"KPO_PLATFORM_CONTRACT": str(write_contract(python, Path(folder)))}
            servers = {
                name: stack.enter_context(_serve(python, environment | variables))
                for name, variables in ((_WITHOUT, {}), (_WITH, contract))
            }
        with steps.step(f"Send {_REQUESTS} requests of each kind to each server"):
            rows = _compare(servers, data["requests"], data["token"])
    return {
        "title": "Guard of the Execution API",
        "text": f"Milliseconds of a request to an API server with a sqlite database, {_REQUESTS} times each, in "
        "alternation. The guard reads the team of a task and the owners of a DAG or an asset at most once in 5 s.",
        "columns": ["request", "median without guard", "median with guard", "ratio of medians"],
        "rows": rows,
    }


def _build_environment(python: Path, folder: Path) -> dict[str, str]:
    """Return variables for processes with Airflow, without the contract."""
    return {
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW_API_APPS": "execution",
        "AIRFLOW__API_AUTH__JWT_SECRET": "a secret for one benchmark",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{folder}/airflow.db",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
        "PATH": str(python.parent),
        "PYTHONPATH": PYTHONPATH,
    }


@contextlib.contextmanager
def _serve(python: Path, environment: dict[str, str]) -> Iterator[HTTPConnection]:
    """Run an API server; yield a connection to it once it answers.

    Raises:
        ScriptError: the server has ended, or does not answer in time.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [str(python), "-m", "uvicorn", "airflow.api_fastapi.main:app", "--port", str(port), "--log-level", "error"]
    words += ["--timeout-keep-alive", str(_TIMEOUT_S)]
    server = subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL)
    try:
        _wait_for_port(server, port)
        connection = HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_S)
        yield connection
        connection.close()
    finally:
        _stop(server)


def _wait_for_port(server: subprocess.Popen[bytes], port: int) -> None:
    def probe() -> None:
        if server.poll() is not None:
            raise ScriptError(f"The API server ended with code {server.returncode}. See its log above.")
        with socket.socket() as client:
            if code := client.connect_ex(("127.0.0.1", port)):
                raise NotYet(os.strerror(code))

    wait_for("the API server to accept connections", probe, _START_S, interval_s=0.2)


def _stop(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait(_STOP_S)


def _compare(servers: dict[str, HTTPConnection], requests: dict[str, list[Any]], token: str) -> list[list[Any]]:
    """Return for each kind of request, and for one of each, both medians in milliseconds and their ratio."""
    durations: dict[tuple[str, str], list[float]] = {(kind, name): [] for kind in requests for name in servers}
    order = list(servers)
    for number in range(_WARM_UP + _REQUESTS):
        order.reverse()
        for kind, request in requests.items():
            for name in order:
                seconds = _send(servers[name], request, token)
                if number >= _WARM_UP:
                    durations[kind, name].append(seconds * 1000)
    medians = {kind: [statistics.median(durations[kind, name]) for name in (_WITHOUT, _WITH)] for kind in requests}
    medians["one of each"] = [sum(column) for column in zip(*medians.values(), strict=True)]
    return [
        [kind, f"{without:.2f}", f"{guarded:.2f}", f"{guarded / without:.2f}"]
        for kind, (without, guarded) in medians.items()
    ]


def _send(connection: HTTPConnection, request: list[Any], token: str) -> float:
    """Send a request and return its seconds.

    Raises:
        ScriptError: the request failed.
    """
    method, path, body = request
    content = None if body is None else json.dumps(body)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    start = time.perf_counter()
    connection.request(method, f"/execution{path}", body=content, headers=headers)
    response = connection.getresponse()
    answer = response.read()
    seconds = time.perf_counter() - start
    if response.status >= 300:
        raise ScriptError(f"{method} {path} answers {response.status}: {answer.decode()}")
    return seconds
