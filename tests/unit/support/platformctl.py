"""platformctl, run in this process or in one of its own, against a server that answers as cluster and Airflow."""

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
    """What one run said."""

    code: int
    out: str
    err: str


class Terminal(io.StringIO):
    """A standard input at which somebody sits."""

    def isatty(self) -> bool:
        return True


Platformctl = Callable[..., CommandResult]


@pytest.fixture
def platformctl(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Platformctl:
    """Runs platformctl with words and standard input."""

    def speaking(*words: str, stdin: str = "", terminal: bool = False) -> CommandResult:
        monkeypatch.setattr("sys.stdin", Terminal(stdin) if terminal else io.StringIO(stdin))
        code = run(list(words))
        captured = capsys.readouterr()
        return CommandResult(code, captured.out, captured.err)

    return speaking


@dataclass
class Cluster:
    """A server that answers as cluster and Airflow, and the options that lead to it."""

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


def program(*words: str) -> list[str]:
    """A command line that runs platformctl in a process of its own."""
    return [sys.executable, "-m", "kpo_platform.cli.main", *words]


def environment() -> dict[str, str]:
    """The environment in which such a process finds what this one imports."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(each for each in sys.path if each)}
