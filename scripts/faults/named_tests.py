"""The tests of the cases of faults, found by the names of cases in a test file."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path


def find_tests(file: Path, cases: Iterable[str]) -> dict[str, list[str]]:
    """Return the test functions of each case.

    A test names its case as a text, also in a decorator, or several cases by their common beginning in an f-string.

    Args:
        file: the test file.
        cases: the names of the cases.
    """
    tree = ast.parse(file.read_text(encoding="utf-8"))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
    names = {function.name: _read_texts(function) for function in functions}
    beginnings = {function.name: _read_beginnings(function) for function in functions}
    exact = {case: [test for test, texts in names.items() if case in texts] for case in cases}
    return {
        case: tests or [test for test, begin in beginnings.items() if begin and case.startswith(begin)]
        for case, tests in exact.items()
    }


def _read_texts(function: ast.FunctionDef) -> set[str]:
    constants = (node.value for node in ast.walk(function) if isinstance(node, ast.Constant))
    return {value for value in constants if isinstance(value, str)}


def _read_beginnings(function: ast.FunctionDef) -> tuple[str, ...]:
    texts = (node.values[0] for node in ast.walk(function) if isinstance(node, ast.JoinedStr) and node.values)
    return tuple(text.value for text in texts if isinstance(text, ast.Constant) and isinstance(text.value, str))
