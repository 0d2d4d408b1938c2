"""Run platformctl in the test's process or a child process, against a server that acts as cluster and Airflow."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from kpo_platform.cli.main import run
from unit.support.http_server import Server, serving
from unit.support.platform_server import Platform


@dataclass
class CommandResult:
    """Exit code and output of one run."""

    code: int
    out: str
    err: str


class Terminal(io.StringIO):
    """A stdin that is a terminal."""

    def isatty(self) -> bool:
        return True


Platformctl = Callable[..., CommandResult]


@pytest.fixture
def platformctl(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Platformctl:
    """Runs platformctl with arguments and stdin."""

    def run_command(*arguments: str, stdin: str = "", terminal: bool = False) -> CommandResult:
        monkeypatch.setattr("sys.stdin", Terminal(stdin) if terminal else io.StringIO(stdin))
        code = run(list(arguments))
        captured = capsys.readouterr()
        return CommandResult(code, captured.out, captured.err)

    return run_command


@dataclass
class Cluster:
    """A server that acts as cluster and Airflow, and the options for it."""

    platform: Platform
    server: Server
    options: tuple[str, ...]

    @property
    def bootstrap(self) -> tuple[str, ...]:
        return ("bootstrap", *self.options, "--airflow-url", self.server.url)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    platform = Platform()
    with serving(platform) as server:
        yield Cluster(platform, server, ("--kubeconfig", server.kubeconfig(tmp_path)))


def program(*arguments: str) -> list[str]:
    """Return the command line that runs platformctl in a child process."""
    return [sys.executable, "-m", "kpo_platform.cli.main", *arguments]


def environment() -> dict[str, str]:
    """Return the environment of a child process that can import the same modules as this one."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(folder for folder in sys.path if folder)}
