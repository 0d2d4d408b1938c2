"""Kills at every phase, with threads in the place of the tasks' processes and a small API server."""

from __future__ import annotations

import http.client
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import pytest

from faults import kills
from faults.case_run import CaseRun, Outcome
from faults.kills import Tally, kill_every_task
from faults.ledger import Ledger, parse_ledger
from faults.proxy import FaultProxy, make_server_context, run_fault_proxy
from faults.scene import Scene

PODS = "/api/v1/namespaces/team-alpha/pods"
PHASES = ("before", "creating", "created", "pending", "running", "log", "result", "deleting", "deleted")
TASKS = (*(f"sync-{phase}-KILL-0" for phase in PHASES), "deferred-reentry-TERM-1")
WAITS = {"before": "running", "pending": "pending", "running": "started"}
"""Phase → the step in which the process waits for its kill; in the others, the proxy holds a request."""


class ProcessKilled(Exception):  # noqa: N818 -- an event of the simulation
    """The process has been killed."""


class SimulatedRun:
    """A run whose tasks are threads.

    Attributes:
        dag: the DAG's id.
        proxy: the proxy that the requests of the tasks pass.
        kills: task → the simulated process's last step at its kill.
    """

    dag = "run_kills"

    def __init__(self, proxy: FaultProxy) -> None:
        self.proxy = proxy
        self.kills: dict[str, str] = {}
        self._steps = dict.fromkeys(TASKS, "queued")
        self._lines: list[str] = []
        self._threads = [threading.Thread(target=self._work, args=(task,), daemon=True) for task in TASKS]
        for thread in self._threads:
            thread.start()

    def _work(self, task: str) -> None:
        try:
            self._run_process(task)
        except ProcessKilled:
            self._steps[task] = "finished by the next process"
        if f"{task} 1 pod end" not in self._lines:
            self._lines.append(f"{task} 1 pod end")

    def _run_process(self, task: str) -> None:
        self._step(task, "running")
        self._send(task, "POST", PODS, {"metadata": {"name": task, "labels": {"dag_id": self.dag, "task_id": task}}})
        self._step(task, "pending")
        self._lines.append(f"{task} 1 pod start")
        self._step(task, "deferred" if task.startswith("deferred") else "started")
        self._lines.append(f"{task} 1 pod end")
        if task.startswith("deferred"):
            self._send(task, "GET", f"{PODS}/{task}")
        self._send(task, "GET", f"{PODS}/{task}/log")
        if "-result-" in task:
            self._send(task, "GET", f"{PODS}/{task}/exec")
        self._send(task, "DELETE", f"{PODS}/{task}")
        self._step(task, "success")

    def _step(self, task: str, step: str) -> None:
        self._steps[task] = step
        if WAITS.get(task.split("-")[1]) == step:
            self._wait(lambda: task in self.kills)
        self._check(task)

    def _send(self, task: str, method: str, path: str, body: Any = None) -> None:
        context = ssl.create_default_context(cafile=self.proxy.certificate)
        address = self.proxy.url.removeprefix("https://")
        connection = http.client.HTTPSConnection(address, timeout=20, context=context)
        self._steps[task] = f"{method} sent"
        connection.request(method, path, json.dumps(body) if body else None)
        connection.getresponse().read()
        self._check(task)

    def _check(self, task: str) -> None:
        if task in self.kills:
            raise ProcessKilled

    def kill(self, task: str, signal: str) -> None:
        self.kills[task] = self._steps[task]

    def wait_for_state(self, task: str, *states: str, deadline_s: float) -> None:
        self._wait(lambda: self._steps[task] in states)

    def wait_for_pod(self, task: str, phase: str, deadline_s: float) -> None:
        self._wait(lambda: self._steps[task] == phase.lower())

    def wait_for_events(self, event: str, tasks: list[str], deadline_s: float) -> None:
        self._wait(lambda: all(f"{task} 1 pod {event}" in self._lines for task in tasks))

    def _wait(self, is_met: Callable[[], bool]) -> None:
        end = time.monotonic() + 20
        while not is_met():
            assert time.monotonic() < end
            time.sleep(0.01)

    def wait_for_outcomes(self, deadline_s: float) -> dict[str, Outcome]:
        for thread in self._threads:
            thread.join(20)
        return {task: Outcome("success") for task in TASKS}

    def read_ledger(self) -> Ledger:
        return parse_ledger("\n".join(self._lines))

    def read_result(self, task: str) -> Any:
        return kills.RESULT

    def discard(self) -> None:
        pass


class SimulatedScene:
    """A place with a simulated run."""

    def __init__(self, proxy: FaultProxy) -> None:
        self.proxy, self.stack = proxy, None
        self.run: SimulatedRun | None = None

    def dag_id(self, name: str) -> str:
        return f"run_{name}"

    def list_task_ids(self, _: str) -> list[str]:
        return list(TASKS)

    def start(self, _: str) -> CaseRun:
        self.run = SimulatedRun(self.proxy)
        return cast(CaseRun, self.run)


class Upstream(BaseHTTPRequestHandler):
    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST = do_DELETE = answer  # noqa: N815

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatedScene]:
    monkeypatch.setattr(kills, "read_scheduler_address", lambda _: "127.0.0.1")
    (tmp_path / "proxy").mkdir()
    context = make_server_context("127.0.0.1", tmp_path / "tls.crt", tmp_path / "tls.key")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    address = f"127.0.0.1:{server.server_address[1]}"
    trust = ssl.create_default_context(cafile=tmp_path / "tls.crt")
    with run_fault_proxy(address, trust, "127.0.0.1", tmp_path / "proxy") as proxy:
        yield SimulatedScene(proxy)
    server.shutdown()
    server.server_close()


def test_each_process_is_killed_at_its_phase(scene: SimulatedScene):
    tally = kill_every_task(cast(Scene, scene))
    assert scene.run
    assert scene.run.kills == {
        "sync-before-KILL-0": "running",
        "sync-creating-KILL-0": "POST sent",
        "sync-created-KILL-0": "POST sent",
        "sync-pending-KILL-0": "pending",
        "sync-running-KILL-0": "started",
        "sync-log-KILL-0": "GET sent",
        "sync-result-KILL-0": "GET sent",
        "sync-deleting-KILL-0": "DELETE sent",
        "sync-deleted-KILL-0": "DELETE sent",
        "deferred-reentry-TERM-1": "GET sent",
    }
    assert tally == Tally(len(TASKS), failed={}, lost=[], doubled=[], missed={})
