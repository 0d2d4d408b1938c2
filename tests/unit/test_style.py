"""Limits of size that keep every file within one look. ruff has no rule for them."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

from common.command import capture_output
from common.paths import REPOSITORY

MODULE_LINES = 300
FUNCTION_LINES = 60
TEMPLATE_LINES = 60


def files(*patterns: str) -> list[Path]:
    """The checkout's own files of these patterns, as git knows them."""
    listed = capture_output(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns], cwd=REPOSITORY
    )
    return [path for path in (REPOSITORY / name for name in sorted(listed.splitlines())) if path.is_file()]


def modules() -> list[Path]:
    """Every Python file, the commands without a suffix among them."""
    commands = [path for path in files("scripts/*") if path.parent.name == "scripts" and not path.suffix]
    return [*files("*.py"), *commands]


def too_long(paths: list[Path], limit: int) -> dict[str, int]:
    lengths = {str(path.relative_to(REPOSITORY)): len(path.read_text().splitlines()) for path in paths}
    return {name: length for name, length in lengths.items() if length > limit}


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """The functions of a module with their lengths in lines."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, (node.end_lineno or 0) - node.lineno + 1


def test_no_module_is_longer_than_300_lines():
    assert too_long(modules(), MODULE_LINES) == {}


def test_no_function_is_longer_than_60_lines():
    found = {(path.name, name): length for path in modules() for name, length in functions(path)}
    assert {where: length for where, length in found.items() if length > FUNCTION_LINES} == {}


def test_no_template_of_the_chart_is_longer_than_60_lines():
    templates = files("helm/kpo-platform/templates/*")
    assert len(templates) > 40
    assert too_long(templates, TEMPLATE_LINES) == {}


def quantiles(lengths: Iterable[int]) -> tuple[int, int]:
    """The median and the 90th percentile."""
    ordered = sorted(lengths)
    return ordered[len(ordered) // 2], ordered[len(ordered) * 9 // 10]


def test_most_functions_are_short():
    median, p90 = quantiles(length for path in files("platform/*.py") for _, length in functions(path))
    assert median <= 8
    assert p90 <= 20


def test_most_templates_are_short():
    median, _ = quantiles(len(path.read_text().splitlines()) for path in files("helm/kpo-platform/templates/*"))
    assert median <= 25


def test_the_source_root_is_no_package_that_would_shadow_the_standard_library():
    assert not (REPOSITORY / "platform" / "__init__.py").exists()
