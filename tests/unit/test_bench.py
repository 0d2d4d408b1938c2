"""scripts/bench: every name is a benchmark function."""

from __future__ import annotations

import importlib.util
from importlib import import_module
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import pytest

from benchmarks import parsing
from common.command import capture_output
from common.paths import REPOSITORY
from kpo_platform.pod.rules.ownership import find_team_of_bundle
from unit.support.contracts import build_teams


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


def test_command_starts_without_the_environment():
    """A fresh machine has only the system's Python: -S excludes every installed package."""
    words = ["/usr/bin/env", "python3", "-S", REPOSITORY / "scripts" / "bench", "--help"]
    assert capture_output(words).startswith("usage: scripts/bench")


def test_benchmark_dag_files_belong_to_team_alpha(tmp_path: Path):
    files = [file for file, *_ in parsing._write_variants(tmp_path).values()]
    paths = [str(Path(file).relative_to(tmp_path / "dags")) for file in files]
    assert [find_team_of_bundle("shared-dags", path, build_teams(alpha="k8s")) for path in paths] == ["alpha"] * 4
