"""airflow.bundles.git with real git repositories."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from airflow.providers.git.bundles.git import GitDagBundle

from kpo_platform.airflow.bundles.git import TeamGitDagBundle


def run_git(folder: Path, *arguments: str) -> None:
    author = ["-c", "user.name=t", "-c", "user.email=t@example.test"]
    subprocess.run(["git", *author, *arguments], cwd=folder, check=True, capture_output=True, timeout=30)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Create a new team's repository, without commits."""
    folder = tmp_path / "team.git"
    folder.mkdir()
    run_git(folder, "init", "--bare", "--initial-branch=main")
    return folder


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return the folder of the bundles' clones."""
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH", str(tmp_path / "bundles"))
    yield tmp_path / "bundles"


def push(repository: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    run_git(work, "init", "--initial-branch=main")
    (work / "dag.py").write_text("# a DAG\n")
    run_git(work, "add", "dag.py")
    run_git(work, "commit", "--message", "first")
    run_git(work, "push", str(repository), "main")


def build_bundle(kind: type[GitDagBundle], repository: Path) -> GitDagBundle:
    return kind(name="alpha", repo_url=str(repository), tracking_ref="main")


def test_empty_repository_is_read_after_the_first_push(repository: Path, storage: Path, tmp_path: Path):
    with pytest.raises(RuntimeError) as refusal:
        build_bundle(TeamGitDagBundle, repository).initialize()
    assert str(refusal.value).startswith(
        "Bundle alpha cannot check out 'main' of its repository. Push that branch or tag, or correct the team's "
        "dags.ref; Airflow retries automatically. git: "
    )
    push(repository, tmp_path)
    team_bundle = build_bundle(TeamGitDagBundle, repository)
    team_bundle.initialize()
    assert [file.name for file in team_bundle.path.glob("*.py")] == ["dag.py"]


def test_stock_bundle_stays_broken_after_the_first_push(repository: Path, storage: Path, tmp_path: Path):
    """If this test fails, the provider has fixed the bug and TeamGitDagBundle can be removed."""
    with pytest.raises(Exception, match="did not match any file"):
        build_bundle(GitDagBundle, repository).initialize()
    push(repository, tmp_path)
    with pytest.raises(Exception, match="did not match any file"):
        build_bundle(GitDagBundle, repository).initialize()
