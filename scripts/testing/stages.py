"""The stages of the test run that need no cluster: lint, unit, integration, chart, providers, newer."""

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

_CLEANUP_S = 60.0

_PARALLEL = ("-n", "auto", "--maxprocesses", "8", "--dist", "loadfile")
"""pytest options to distribute test files over the cores; tests of one file share fixtures."""

LINTERS: tuple[tuple[str, ...], ...] = (
    ("ruff", "check", "."),
    ("ruff", "format", "--check", "."),
    ("mypy",),
    ("lint-imports",),
)


def lint(programs: Path) -> None:
    """Check style, types and layers.

    Raises:
        ScriptError: a linter failed; its output is on the terminal.
    """
    for linter in LINTERS:
        run_program(programs, linter, timeout_s=300)
    run_program(REPOSITORY / "scripts", ("lock-requirements", "--check"), timeout_s=60)


def unit(programs: Path) -> None:
    """Run the unit tests, which need neither cluster nor helm."""
    run_pytest(programs, [*_PARALLEL, "tests/unit"], timeout_s=900)


def integration(programs: Path) -> None:
    """Run the package's tests with real external programs, mainly Ansible."""
    run_pytest(programs, [*_PARALLEL, "tests/integration"], timeout_s=600)


def chart(programs: Path) -> None:
    """Run the tests of the rendered chart, which need helm, but no cluster."""
    run_pytest(programs, [*_PARALLEL, "tests/chart"], timeout_s=600)


def providers(programs: Path) -> None:
    """Run the operator's tests with the newest supported provider."""
    run_program(
        newest_provider.ensure_environment(programs),
        ["python", "-m", "pytest", *_PARALLEL, *newest_provider.list_test_files()],
        timeout_s=300,
    )


def newer(programs: Path) -> None:
    """Run bootstrap's tests with this machine's newest Python and a matching Ansible.

    Raises:
        ScriptError: this machine has no newer Python than .venv's, or a test failed.
    """
    python = newer_python.find_newest_python()
    if python is None:
        raise ScriptError(
            f"Cannot run the stage `newer`: Python 3.{newer_python.OLDEST} to 3.{newer_python.NEWEST} is neither in "
            "PATH nor in pyenv. Install one."
        )
    run_program(
        newer_python.ensure_environment(programs, python),
        ["python", "-m", "pytest", *_PARALLEL, *newer_python.list_test_files()],
        timeout_s=900,
    )


STAGES: dict[str, Callable[[Path], None]] = {
    "lint": lint,
    "unit": unit,
    "integration": integration,
    "chart": chart,
    "providers": providers,
    "newer": newer,
}


def run_pytest(programs: Path, arguments: Sequence[str], timeout_s: float, env: dict[str, str] | None = None) -> None:
    """Run pytest in the checkout with its output on the terminal."""
    run_program(programs, ["pytest", *arguments], timeout_s, env)


def run_program(programs: Path, words: Sequence[str], timeout_s: float, env: dict[str, str] | None = None) -> None:
    """Run a program of the environment in the checkout with its output on the terminal.

    Raises:
        ScriptError: it failed or timed out.
    """
    command = [str(programs / words[0]), *words[1:]]
    process = subprocess.Popen(command, cwd=REPOSITORY, env={**os.environ, **(env or {})}, start_new_session=True)
    try:
        code = process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        raise ScriptError(f"`{' '.join(words)}` timed out after {timeout_s:g} s.") from None
    finally:
        end_process_group(process, signal.SIGINT, _CLEANUP_S)  # pytest cleans up as after Ctrl-C
    if code:
        raise ScriptError(f"`{' '.join(words)}` failed with exit code {code}. See the output above.")
