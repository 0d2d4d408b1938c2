"""The parts of the test run that need no cluster: lint, unit, integration, chart, providers, newer."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from common.command import end_process_group
from common.errors import ScriptError
from common.paths import REPOSITORY
from testing import newer_python, newest_provider

_TIDY_UP_S = 60.0

_PARALLEL = ("-n", "auto", "--maxprocesses", "8", "--dist", "loadfile")
"""How pytest spreads test files over the cores; the tests of one file share their fixtures."""

LINTERS: tuple[tuple[str, ...], ...] = (
    ("ruff", "check", "."),
    ("ruff", "format", "--check", "."),
    ("mypy",),
    ("lint-imports",),
)


def lint(programs: Path) -> None:
    """Check style, types and layers.

    Raises:
        ScriptError: a linter found something; it has said what.
    """
    for linter in LINTERS:
        run(programs, linter, timeout_s=300)
    run(REPOSITORY / "scripts", ("lock-requirements", "--check"), timeout_s=60)


def unit(programs: Path) -> None:
    """Run the tests that need neither cluster nor chart."""
    pytest(programs, [*_PARALLEL, "tests/unit"], timeout_s=900)


def integration(programs: Path) -> None:
    """Run the tests of the package with the real programs that it starts, Ansible above all."""
    pytest(programs, [*_PARALLEL, "tests/integration"], timeout_s=600)


def chart(programs: Path) -> None:
    """Run the tests of the rendered chart; they need helm, but no cluster."""
    pytest(programs, [*_PARALLEL, "tests/chart"], timeout_s=600)


def providers(programs: Path) -> None:
    """Run the operator's tests with the newest provider that it is made for."""
    run(
        newest_provider.newest_provider(programs),
        ["python", "-m", "pytest", *_PARALLEL, *newest_provider.files()],
        timeout_s=300,
    )


def newer(programs: Path) -> None:
    """Run bootstrap's tests with the newest Python of this machine, and the Ansible that goes with it.

    Raises:
        ScriptError: there is none newer than the one that all other tests run with, or a test failed.
    """
    python = newer_python.newest_python()
    if python is None:
        raise ScriptError(
            f"This machine has no Python 3.{newer_python.OLDEST} to 3.{newer_python.NEWEST}, "
            "neither in PATH nor of pyenv."
        )
    run(
        newer_python.newer_environment(programs, python),
        ["python", "-m", "pytest", *_PARALLEL, *newer_python.files()],
        timeout_s=900,
    )


OFFLINE: dict[str, Callable[[Path], None]] = {
    "lint": lint,
    "unit": unit,
    "integration": integration,
    "chart": chart,
    "providers": providers,
    "newer": newer,
}


def pytest(programs: Path, arguments: Sequence[str], timeout_s: float, env: dict[str, str] | None = None) -> None:
    """Run pytest in the checkout, its output on the terminal."""
    run(programs, ["pytest", *arguments], timeout_s, env)


def run(programs: Path, words: Sequence[str], timeout_s: float, env: dict[str, str] | None = None) -> None:
    """Run a program of the environment in the checkout, its output on the terminal.

    Raises:
        ScriptError: it failed or took too long.
    """
    command = [str(programs / words[0]), *words[1:]]
    process = subprocess.Popen(command, cwd=REPOSITORY, env={**os.environ, **(env or {})}, start_new_session=True)
    try:
        code = process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        raise ScriptError(f"`{' '.join(words)}` took longer than {timeout_s:g} s and was ended.") from None
    finally:
        end_process_group(process, signal.SIGINT, _TIDY_UP_S)  # pytest tidies up as after Ctrl-C
    if code:
        raise ScriptError(f"`{' '.join(words)}` failed with exit code {code}; what it found stands above.")
