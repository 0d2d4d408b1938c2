"""Lists of files that people write by hand: none lacks a file."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from common.paths import REPOSITORY
from project import PYPROJECT
from testing.newest_provider import list_test_files

STOCK_OPERATOR = (
    "airflow.providers.cncf.kubernetes",
    "kpo_platform.TeamPodOperator",
    "kpo_platform.airflow.decorators",
    "kpo_platform.airflow.operators",
)
"""Names whose import needs the Kubernetes provider."""


def list_imports(tree: ast.Module) -> Iterator[str]:
    """Yield the full names that a test file imports, also within its functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{name.name}" for name in node.names)


def uses_stock_operator(file: Path) -> bool:
    """Return whether a test file imports the stock operator or a subclass, or uses the fixture that builds one."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    arguments = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    return "build" in arguments or any(name.startswith(STOCK_OPERATOR) for name in list_imports(tree))


def test_every_test_of_the_stock_operator_runs_with_the_newest_provider():
    tests = {str(file.relative_to(REPOSITORY)): file for file in (REPOSITORY / "tests" / "unit").glob("test_*.py")}
    listed = list_test_files()
    assert [name for name in listed if name not in tests] == []
    assert sorted(name for name, file in tests.items() if uses_stock_operator(file) and name not in listed) == []


def test_ruff_checks_every_command_without_a_suffix():
    commands = [path for path in (REPOSITORY / "scripts").iterdir() if path.is_file() and not path.suffix]
    listed = PYPROJECT["tool"]["ruff"]["extend-include"]
    assert sorted(str(path.relative_to(REPOSITORY)) for path in commands) == sorted(
        name for name in listed if name.count("/") == 1
    )
    assert [name for name in listed if not (REPOSITORY / name).is_file()] == []
