"""scripts/bench: every name leads to something that can be measured."""

from __future__ import annotations

import importlib.util
from importlib import import_module
from importlib.machinery import SourceFileLoader
from types import ModuleType

import pytest

from common.paths import REPOSITORY
from common.run import capture


def bench() -> ModuleType:
    loader = SourceFileLoader("bench", str(REPOSITORY / "scripts" / "bench"))
    spec = importlib.util.spec_from_loader("bench", loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", sorted(bench().BENCHMARKS))
def test_each_benchmark_is_a_function(name: str):
    module, function = bench().BENCHMARKS[name]
    assert callable(getattr(import_module(f"benchmarks.{module}"), function))


def test_the_command_starts_without_the_environment():
    """On a fresh machine there is only the machine's own Python: -S leaves out every installed package."""
    words = ["/usr/bin/env", "python3", "-S", REPOSITORY / "scripts" / "bench", "--help"]
    assert capture(words).startswith("usage: scripts/bench")
