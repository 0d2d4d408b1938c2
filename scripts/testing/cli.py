"""`scripts/test`: all tests without a cluster and the core cluster groups; with --all every group of cluster tests."""

from __future__ import annotations

import argparse
from pathlib import Path

from common.errors import ScriptError
from common.python_env import ensure_environment
from common.steps import Steps
from stack.install import build_images_and_programs, install_stack
from stack.release import Stack
from testing import groups
from testing.newer_python import newest_python
from testing.stages import OFFLINE, pytest

_GROUP_TIMEOUT_S = 1200


def main() -> int:
    """Run what the command line asks for.

    Raises:
        ScriptError: something failed; what stands above it says what.
    """
    options = _parser().parse_args()
    steps = Steps()
    with steps.step("Create the Python environment (.venv)") as step:
        programs = ensure_environment(step.detail)
    if options.groups and not options.all:
        raise ScriptError("Groups of cluster tests go with --all: scripts/test --all GROUP…")
    if options.only:
        OFFLINE[options.only](programs)
    elif options.all:
        if not options.groups:
            OFFLINE["providers"](programs)
            _newer(steps, programs)
        _cluster_tests(steps, programs, groups.chosen(options.groups), keep=True)
    else:
        _everything(steps, programs)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/test", description=__doc__)
    parser.add_argument("--only", choices=list(OFFLINE), help="one part that needs no cluster")
    parser.add_argument("--all", action="store_true", help="every group of cluster tests that is not green yet")
    parser.add_argument("groups", nargs="*", metavar="GROUP", help="with --all: only these groups")
    return parser


def _everything(steps: Steps, programs: Path) -> None:
    for part in ("lint", "unit", "integration"):
        OFFLINE[part](programs)
    build_images_and_programs(steps)  # includes helm, which the chart's tests need
    OFFLINE["chart"](programs)
    _cluster_tests(steps, programs, list(groups.CORE), keep=False)


def _newer(steps: Steps, programs: Path) -> None:
    """Run what a newer Python is needed for, where the machine has one: the stack itself needs none."""
    if newest_python() is None:
        steps.note("newer: this machine has no newer Python, not run")
    else:
        OFFLINE["newer"](programs)


def _cluster_tests(steps: Steps, programs: Path, names: list[str], *, keep: bool) -> None:
    """Run groups on the cluster; with `keep`, leave out those that passed with the very same files."""
    wanted = [name for name in names if not (keep and groups.is_green(name))]
    for name in names:
        if name not in wanted:
            steps.note(f"{name}: has passed with exactly these files, not run again")
    if not wanted:
        return
    stack = install_stack(steps)
    if not keep:
        _pytest(programs, stack, wanted)
    for name in wanted if keep else []:
        _pytest(programs, stack, [name])
        groups.keep_green(name)


def _pytest(programs: Path, stack: Stack, names: list[str]) -> None:
    files = [str(groups.file_of(name)) for name in names]
    pytest(programs, files, _GROUP_TIMEOUT_S * len(names), stack.environment)
