"""Have DAG files read by a process of its own, the only one in which there is Airflow.

Airflow takes seconds to import, keeps the settings that it found then, and runs the code of the files.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from kpo_platform import errors
from kpo_platform.contract import Contract, load
from kpo_platform.offline.environment import variables

TIDY_UP_SECONDS = 60.0
"""How long a process that was interrupted, or whose time is over, may take to remove its pod."""

_LAST_LINES = 5


@dataclass(frozen=True)
class Sources:
    """The DAG files that are meant.

    Attributes:
        folder: below it, folders of a team's name hold that team's DAGs; imports of the files' own modules begin here.
        file: the only file to read, or None for all of the folder.
        team: the team whose DAGs all of them are, as in a repository of the team's own.
    """

    folder: Path
    file: Path | None = None
    team: str | None = None


@dataclass(frozen=True)
class Offline:
    """A process that will read DAG files, as soon as it is asked to.

    Attributes:
        contract: what the teams may do.
        contract_file: the file that holds it.
        sources: the DAG files.
    """

    contract: Contract
    contract_file: Path
    sources: Sources

    @classmethod
    def of(cls, contract_file: Path, sources: Sources) -> Offline:
        """Read the contract, and see that there is an Airflow.

        Raises:
            ContractError: there is no contract in the file.
            DagError: Airflow is not installed.
            TeamError: the contract has no such team.
        """
        if not importlib.util.find_spec("airflow"):
            raise errors.DagError(
                "DAG files cannot be read without Airflow, which is not installed here: "
                "pip install 'kpo-platform[airflow]'."
            )
        contract = load(contract_file)
        if sources.team:
            contract.team(sources.team)
        return cls(contract, contract_file, sources)

    def ask(
        self,
        command: str,
        request: Mapping[str, Any],
        more: Mapping[str, str] | None = None,
        hear: Callable[[str], None] | None = None,
        learn: Callable[[Any], None] | None = None,
    ) -> Any:
        """Have a command of ``kpo_platform.offline`` done.

        Args:
            command: its name.
            request: its arguments; must fit into JSON. After ``until``, in seconds since the epoch, and a minute more
                to tidy up, the process is ended.
            more: environment variables beside those of the contract and the folder.
            hear: takes every line that the files, Airflow and pods print; by default only the last ones are kept, for
                the case that there is no answer.
            learn: takes the command's news.

        Raises:
            PlatformError: of the class that the command raised.
            KeyboardInterrupt: it was interrupted and has no answer; or is interrupted again, and then ended at once.
        """
        with tempfile.TemporaryDirectory(prefix="kpo-platform-") as folder:
            home = Path(folder)
            root, file = self._laid_out(home)
            environment = {**_inherited(), **variables(self.contract, self.contract_file, root, home), **(more or {})}
            imports = root / self.sources.team if self.sources.team else root
            whole = {**request, "command": command, "root": str(imports), "file": file and str(file)}
            answer = _converse(whole, environment, hear, learn or (lambda news: None))
        if "error" in answer:
            raise getattr(errors, answer["kind"])(answer["error"])
        return answer["result"]

    def _laid_out(self, home: Path) -> tuple[Path, Path | None]:
        """Where the files lie for Airflow; those of one team lie in a folder of its name, as they do in a bundle."""
        folder, file = self.sources.folder.resolve(), self.sources.file and self.sources.file.resolve()
        if not self.sources.team:
            return folder, file
        root = home / "dags"
        root.mkdir()
        (root / self.sources.team).symlink_to(folder, target_is_directory=True)
        return root, file and root / self.sources.team / file.relative_to(folder)


def _inherited() -> dict[str, str]:
    """The environment without KUBECONFIG: Airflow would take it for a way to the cluster beside the connection's."""
    return {name: value for name, value in os.environ.items() if name != "KUBECONFIG"}


def _converse(
    request: Mapping[str, Any],
    environment: Mapping[str, str],
    hear: Callable[[str], None] | None,
    learn: Callable[[Any], None],
) -> Any:
    last: deque[str] = deque(maxlen=_LAST_LINES)
    with _process(environment, hear or last.append) as process, _ended_after(process, request.get("until")):
        assert process.stdin is not None and process.stdout is not None  # both are pipes
        json.dump(request, process.stdin)
        process.stdin.close()
        try:
            answer = _answer(process.stdout, learn)
        except KeyboardInterrupt:
            # It is in a session of its own, so that it hears of this once, and can still tidy up.
            process.send_signal(signal.SIGINT)
            with _ended_after(process, time.time()):
                answer = _answer(process.stdout, learn)
            if answer is None:
                raise
    if answer is None:
        said = f" The last that it said: {' | '.join(line.strip() for line in last)}" if last else ""
        raise errors.DagError(f"The process that reads DAG files ended with code {process.returncode}.{said}")
    return answer


def _answer(lines: Iterable[str], learn: Callable[[Any], None]) -> Any:
    """The answer, which is the last line, or None when the process ends without one; the lines before it are news."""
    for line in lines:
        content = json.loads(line)
        if "news" not in content:
            return content
        learn(content["news"])
    return None


@contextmanager
def _ended_after(process: subprocess.Popen[str], until: float | None) -> Iterator[None]:
    """End a process that goes on for longer than it may, and a while to tidy up."""
    if until is None:
        yield
        return
    timer = threading.Timer(max(until - time.time(), 0) + TIDY_UP_SECONDS, process.kill)
    # Ctrl-C may come at any time, also while the thread starts: nothing waits for it at the end.
    timer.daemon = True
    try:
        timer.start()
        yield
    finally:
        timer.cancel()


@contextmanager
def _process(environment: Mapping[str, str], hear: Callable[[str], None]) -> Iterator[subprocess.Popen[str]]:
    pipe = subprocess.PIPE
    words = [sys.executable, "-m", "kpo_platform.offline"]
    with subprocess.Popen(
        words,
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        env=environment,
        start_new_session=True,
        encoding="utf-8",
        errors="replace",
    ) as process:
        assert process.stderr is not None
        listener = threading.Thread(target=_listen, args=(process.stderr, hear), daemon=True)
        listener.start()
        try:
            yield process
            process.wait()
            listener.join()
        finally:
            process.kill()  # does nothing to one that has ended


def _listen(stream: Any, hear: Callable[[str], None]) -> None:
    for line in stream:
        hear(line)


@contextmanager
def told() -> Iterator[None]:
    """Make wrong usage of what only the other process can know to be wrong.

    Raises:
        UsageError: team or task is not there, or needs what was not given.
    """
    try:
        yield
    except (errors.TeamError, errors.TaskError) as error:
        raise click.UsageError(str(error)) from error
