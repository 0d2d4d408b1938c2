"""The chart of an earlier commit of this repository."""

from __future__ import annotations

import tarfile
from pathlib import Path

from common.command import capture_output
from common.errors import ScriptError
from common.paths import REPOSITORY

_FOLDERS = ("helm", "rbac", "pod_templates", "platform", "scripts")


def extract_chart(commit: str, folder: Path) -> Path:
    """Extract the chart of a commit, with its scripts, which hold the values for the local cluster, into a folder."""
    archive = folder / "earlier.tar"
    try:
        capture_output(["git", "archive", "--output", archive, commit, "--", *_FOLDERS], cwd=REPOSITORY)
    except ScriptError as error:
        raise ScriptError(f"Cannot read commit {commit}: {error} Fetch the complete history.") from error
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="tar")
    return folder
