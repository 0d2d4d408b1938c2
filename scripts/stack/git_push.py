"""Commit and push of files to a team's DAG repository, as a DAG author does it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from common.command import capture_output

_AUTHOR = ("-c", "user.name=kpo-platform", "-c", "user.email=quickstart@kpo-platform.test")


def push_files(url: str, files: Mapping[str, str], message: str) -> str:
    """Commit files to branch main of a repository and push them, unless they are unchanged.

    Args:
        url: the repository, with any protocol of git.
        files: path in the repository → content.
        message: the commit's subject.

    Returns:
        The full hash of the branch's commit.

    Raises:
        CommandError: git failed; contains its last lines.
    """
    with tempfile.TemporaryDirectory(prefix="kpo-platform-") as name:
        folder = Path(name)
        _git(folder, "clone", "--quiet", url, ".")
        _git(folder, "symbolic-ref", "HEAD", "refs/heads/main")
        for path, content in files.items():
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content, encoding="utf-8")
        _git(folder, "add", "--all")
        if _git(folder, "status", "--porcelain"):
            _git(folder, *_AUTHOR, "commit", "--quiet", "--message", message)
            _git(folder, "push", "--quiet", "origin", "main")
        return _git(folder, "rev-parse", "HEAD").strip()


def _git(folder: Path, *arguments: str) -> str:
    return capture_output(["git", *arguments], cwd=folder, timeout_s=60)
