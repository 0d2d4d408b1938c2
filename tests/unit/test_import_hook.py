"""airflow.import_hook: a callback after the import of a module."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kpo_platform.airflow.import_hook import call_after_import


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module that can be imported and has not been."""
    (tmp_path / "imported_later.py").write_text("VALUE = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    finders = list(sys.meta_path)
    yield "imported_later"
    sys.modules.pop("imported_later", None)
    sys.meta_path[:] = finders


def test_callback_runs_once_after_the_module_is_complete(module: str):
    values: list[int] = []
    call_after_import(module, lambda: values.append(sys.modules[module].VALUE))
    assert values == []
    importlib.import_module(module)
    importlib.import_module(module)
    assert values == [1]


def test_callback_for_an_imported_module_runs_at_once(module: str):
    importlib.import_module(module)
    calls: list[str] = []
    call_after_import(module, lambda: calls.append(module))
    assert calls == [module]


def test_two_callbacks_for_one_module_both_run(module: str):
    calls: list[str] = []
    call_after_import(module, lambda: calls.append("first"))
    call_after_import(module, lambda: calls.append("second"))
    importlib.import_module(module)
    assert sorted(calls) == ["first", "second"]


def test_failed_callback_fails_the_import(module: str):
    def fail() -> None:
        raise RuntimeError("no guard")

    call_after_import(module, fail)
    with pytest.raises(RuntimeError, match="no guard"):
        importlib.import_module(module)
    assert module not in sys.modules


def test_module_that_does_not_exist_fails_as_usual():
    calls: list[str] = []
    call_after_import("no_such_module_here", lambda: calls.append("called"))
    with pytest.raises(ModuleNotFoundError, match="no_such_module_here"):
        importlib.import_module("no_such_module_here")
    assert calls == []
