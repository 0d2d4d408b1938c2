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
from testing.newer_python import find_newest_python
from testing.stages import STAGES, run_pytest

_GROUP_TIMEOUT_S = 2400


def main() -> int:
    """Run the stages and groups of the command line.

    Raises:
        ScriptError: a stage or a test failed; its output is on the terminal.
    """
    options = _parser().parse_args()
    steps = Steps()
    with steps.step("Create the Python environment (.venv)") as step:
        programs = ensure_environment(step.detail)
    if options.groups and not options.all:
        raise ScriptError("Cannot run groups of cluster tests without --all. Run scripts/test --all GROUP….")
    if options.only:
        STAGES[options.only](programs)
    elif options.all:
        if not options.groups:
            STAGES["providers"](programs)
            _run_newer(steps, programs)
        _run_groups(steps, programs, groups.select_groups(options.groups), use_results=True)
    else:
        _run_all_stages(steps, programs)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/test", description=__doc__)
    parser.add_argument("--only", choices=list(STAGES), help="run one stage that needs no cluster")
    parser.add_argument(
        "--all", action="store_true", help="run every group of cluster tests that has not passed with these files"
    )
    parser.add_argument("groups", nargs="*", metavar="GROUP", help="with --all: only these groups")
    return parser


def _run_all_stages(steps: Steps, programs: Path) -> None:
    for stage in ("lint", "unit", "integration"):
        STAGES[stage](programs)
    build_images_and_programs(steps)  # includes helm, which the chart's tests need
    STAGES["chart"](programs)
    _run_groups(steps, programs, list(groups.CORE), use_results=False)


def _run_newer(steps: Steps, programs: Path) -> None:
    """Run the stage `newer` if this machine has a newer Python."""
    if find_newest_python() is None:
        steps.note("newer: skipped, because this machine has no newer Python")
    else:
        STAGES["newer"](programs)


def _run_groups(steps: Steps, programs: Path, names: list[str], *, use_results: bool) -> None:
    """Run groups on the cluster; with `use_results`, skip those that have passed with the same files."""
    pending = [name for name in names if not (use_results and groups.has_passed(name))]
    for name in names:
        if name not in pending:
            steps.note(f"{name}: skipped, because it has passed with exactly these files")
    if not pending:
        return
    stack = install_stack(steps)
    if not use_results:
        _run_pytest(programs, stack, pending)
    for name in pending if use_results else []:
        _run_pytest(programs, stack, [name])
        groups.record_pass(name)


def _run_pytest(programs: Path, stack: Stack, names: list[str]) -> None:
    files = [str(groups.get_test_file(name)) for name in names]
    run_pytest(programs, files, _GROUP_TIMEOUT_S * len(names), stack.environment)
