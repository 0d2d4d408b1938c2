"""Stored results of cluster groups: which files a result depends on."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from testing import groups

FILES = (
    "dags/x.py",
    "docs/x.md",
    "helm/x.yaml",
    "platform/x.py",
    "pod_templates/x.yaml",
    "pyproject.toml",
    "rbac/x.yaml",
    "requirements/x.txt",
    "scripts/x.py",
    "tests/chart/rendering.py",
    "tests/cluster/support/x.py",
    "tests/cluster/test_rights.py",
    "tests/conftest.py",
    "tests/project.py",
)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with one file in each input, a file of another group and a page outside docs/."""
    root = tmp_path / "checkout"
    for name in (*FILES, "tests/cluster/test_network.py", "README.md"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("before\n")
    subprocess.run(["git", "init", "--quiet", root], check=True)
    monkeypatch.setattr(groups, "REPOSITORY", root)
    monkeypatch.setattr(groups, "_TESTS", root / "tests" / "cluster")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return root


@pytest.mark.parametrize("name", FILES)
def test_changed_input_makes_a_stored_result_stale(checkout: Path, name: str):
    groups.record_pass("rights")
    assert groups.has_passed("rights")
    (checkout / name).write_text("after\n")
    assert not groups.has_passed("rights")


@pytest.mark.parametrize("name", ["README.md", "tests/cluster/test_network.py"])
def test_change_outside_the_inputs_keeps_a_stored_result(checkout: Path, name: str):
    groups.record_pass("rights")
    (checkout / name).write_text("after\n")
    assert groups.has_passed("rights")
