"""The parent process: send requests about DAG files to a child process that imports Airflow.

Airflow is kept out of this process, because it takes seconds to import, reads its settings only once, and the DAG
files may run any code. See the package's docstring for the protocol.
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kpo_platform import errors
from kpo_platform.contract import Contract, load
from kpo_platform.offline.environment import build_environment

CLEANUP_SECONDS = 60.0
"""Time for the child to delete its pod after an interrupt or timeout; then it is killed."""

_EXIT_SECONDS = 5.0
"""Time for the child to exit after its answer; a thread or a process of a DAG file may run on. Then it is killed."""

_LAST_LINES = 5
_INTERRUPTS = (signal.SIGINT, signal.SIGTERM)
_POLL_SECONDS = 0.2
"""The longest wait: a signal that arrives just before a system call, or in another thread, does not end the call."""

OnLine = Callable[[str], None]
OnEvent = Callable[[Any], None]


@dataclass(frozen=True)
class Sources:
    """The DAG files to read.

    Attributes:
        folder: the DAGs folder. A subfolder with the name of a team holds that team's DAGs. DAG files import their own
            modules from this folder.
        file: the only file to read; None for all files of the folder.
        team: the team that owns all DAGs of the folder, as in a repository of one team.
    """

    folder: Path
    file: Path | None = None
    team: str | None = None


@dataclass(frozen=True)
class OfflineClient:
    """Sends each request to a child process of its own.

    Attributes:
        contract: the contract.
        contract_file: the file of the contract.
        sources: the DAG files.
    """

    contract: Contract
    contract_file: Path
    sources: Sources

    @classmethod
    def create(cls, contract_file: Path, sources: Sources) -> OfflineClient:
        """Read the contract, and check that Airflow is installed.

        Raises:
            ContractError: the file holds no contract.
            DagError: Airflow is not installed.
            TeamError: the contract has no such team.
        """
        if not importlib.util.find_spec("airflow"):
            raise errors.DagError(
                "Cannot read DAG files: Airflow is not installed. Run pip install 'kpo-platform[airflow]'."
            )
        contract = load(contract_file)
        if sources.team:
            contract.team(sources.team)
        return cls(contract, contract_file, sources)

    def send_request(
        self,
        command: str,
        request: Mapping[str, Any],
        extra_environment: Mapping[str, str] | None = None,
        on_line: OnLine | None = None,
        on_event: OnEvent | None = None,
    ) -> Any:
        """Run a command of ``kpo_platform.offline`` in a child process, and return its result.

        Args:
            command: lint, render or run.
            request: the command's arguments, as JSON. With ``until``, the child is killed a minute after that time.
            extra_environment: environment variables in addition to those of the contract and the folder.
            on_line: takes every line that DAG files, Airflow and pods print. By default the last ones are kept for the
                error message.
            on_event: takes the command's events.

        Raises:
            PlatformError: the command raised an error of this class.
            KeyboardInterrupt: interrupted without an answer, or twice.
        """
        with tempfile.TemporaryDirectory(prefix="kpo-platform-") as folder:
            home = Path(folder)
            root, file = self._prepare_dags_folder(home)
            environment = {
                **_inherit_environment(),
                **build_environment(self.contract, self.contract_file, root, home),
                **(extra_environment or {}),
            }
            import_root = root / self.sources.team if self.sources.team else root
            full_request = {**request, "command": command, "root": str(import_root), "file": file and str(file)}
            answer = _run_child(full_request, environment, on_line, on_event or (lambda event: None))
        if "error" in answer:
            raise getattr(errors, answer["kind"])(answer["error"])
        return answer["result"]

    def _prepare_dags_folder(self, home: Path) -> tuple[Path, Path | None]:
        """Return the DAGs folder and file; with ``team``, link the files into a subfolder of its name."""
        folder, file = self.sources.folder.resolve(), self.sources.file and self.sources.file.resolve()
        if not self.sources.team:
            return folder, file
        root = home / "dags"
        root.mkdir()
        (root / self.sources.team).symlink_to(folder, target_is_directory=True)
        return root, file and root / self.sources.team / file.relative_to(folder)


def _inherit_environment() -> dict[str, str]:
    """Return the environment without KUBECONFIG: Airflow would prefer it to the connection's kubeconfig."""
    return {name: value for name, value in os.environ.items() if name != "KUBECONFIG"}


def _run_child(
    request: Mapping[str, Any], environment: Mapping[str, str], on_line: OnLine | None, on_event: OnEvent
) -> Any:
    """Start a child, send it the request and return its answer."""
    last_lines: deque[str] = deque(maxlen=_LAST_LINES)
    with _start_child(environment, on_line or last_lines.append, on_event) as (child, future):
        assert child.stdin is not None  # it is a pipe
        with _record_interrupts() as interrupts:
            json.dump(request, child.stdin)
            child.stdin.close()
            answer = _wait_for_answer(child, future, request.get("until"), interrupts)
    if answer is None:
        output = f" Its last output: {' | '.join(line.strip() for line in last_lines)}" if last_lines else ""
        raise errors.DagError(
            f"The process that reads DAG files exited with code {child.returncode} before it had a result. "
            f"{_choose_exit_fix(child.returncode)}{output}"
        )
    return answer


def _choose_exit_fix(code: int) -> str:
    if code == -signal.SIGKILL:
        return "Free memory, or raise --timeout."
    return "Correct the DAG file that ends the process."


def _read_answer(lines: Iterable[str], on_event: OnEvent) -> Any:
    """Read events until the answer; return None if the child exits without one."""
    for line in lines:
        content = json.loads(line)
        if "event" not in content:
            return content
        on_event(content["event"])
    return None


def _wait_for_answer(
    child: subprocess.Popen[str], answer: Future[Any], until: float | None, interrupts: list[int]
) -> Any:
    """Wait for the answer; kill the child some time after a deadline, in seconds since the epoch.

    Raises:
        KeyboardInterrupt: interrupted without an answer, or twice.
    """
    latest = math.inf if until is None else max(until, time.time()) + CLEANUP_SECONDS
    is_stopping = False
    while not wait([answer], timeout=_POLL_SECONDS).done:
        if len(interrupts) > 1:
            raise KeyboardInterrupt
        if interrupts and not is_stopping:
            # Ctrl-C does not reach the child, which has a session of its own. One SIGINT makes it clean up.
            child.send_signal(signal.SIGINT)
            is_stopping, latest = True, time.time() + CLEANUP_SECONDS
        if time.time() > latest:
            child.kill()
    if interrupts and answer.result() is None:
        raise KeyboardInterrupt
    return answer.result()


@contextmanager
def _record_interrupts() -> Iterator[list[int]]:
    """Record the signals that would raise KeyboardInterrupt.

    Python drops an exception that a signal raises while a destructor or a callback of a weak reference runs.
    """
    interrupts: list[int] = []
    raising = [number for number in _INTERRUPTS if signal.getsignal(number) is signal.default_int_handler]
    if threading.current_thread() is not threading.main_thread():
        raising = []  # only the main thread handles signals, and sets handlers
    try:
        for number in raising:
            signal.signal(number, lambda number, _: interrupts.append(number))
        yield interrupts
    finally:
        for number in raising:
            signal.signal(number, signal.default_int_handler)


@contextmanager
def _start_child(
    environment: Mapping[str, str], on_line: OnLine, on_event: OnEvent
) -> Iterator[tuple[subprocess.Popen[str], Future[Any]]]:
    """Start a child; provide it and its future answer."""
    pipe = subprocess.PIPE
    command = [sys.executable, "-m", "kpo_platform.offline"]
    with subprocess.Popen(
        command,
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        env=environment,
        start_new_session=True,
        encoding="utf-8",
        errors="replace",
    ) as child:
        assert child.stdout is not None and child.stderr is not None
        answer = _call_in_thread(_read_answer, child.stdout, on_event)
        output = _call_in_thread(_read_lines, child.stderr, on_line)
        try:
            yield child, answer
            with suppress(subprocess.TimeoutExpired, TimeoutError):
                child.wait(_EXIT_SECONDS)
                output.result(_EXIT_SECONDS)
        finally:
            child.kill()  # does nothing if the child has exited
            if not output.done():  # a process that it has started has its stderr
                _kill_session(child.pid)
                with suppress(TimeoutError):
                    output.result(_EXIT_SECONDS)
            if not output.done():  # it has a session of its own: `close` would wait for it
                child.stderr = None


def _kill_session(leader: int) -> None:
    """Kill what a child has started in its session; while one of these runs, no other process gets the session's id."""
    with suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


def _read_lines(stream: Any, on_line: OnLine) -> None:
    for line in stream:
        on_line(line)


def _call_in_thread(function: Callable[..., Any], *arguments: Any) -> Future[Any]:
    """Call a function in a thread for which the exit of the interpreter does not wait."""
    future: Future[Any] = Future()

    def call() -> None:
        try:
            future.set_result(function(*arguments))
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=call, daemon=True).start()
    return future
