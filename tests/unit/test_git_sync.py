"""The stand-in for git-sync 4: supported flags work, unsupported ones are rejected."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from common.command import capture_output
from common.paths import REPOSITORY
from common.polling import NotYet, wait_for

PROGRAM = REPOSITORY / "scripts" / "images" / "containers" / "git-sync" / "git-sync"
AUTHOR = ("-c", "user.name=t", "-c", "user.email=t@example.test")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with the text `one` on branch main, tagged v1."""
    folder = tmp_path / "scripts.git"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    commit(folder, "one")
    git(folder, "tag", "v1")
    return folder


def git(folder: Path, *words: str) -> str:
    return capture_output(["git", "-C", folder, *AUTHOR, *words])


def commit(folder: Path, text: str) -> str:
    (folder / "text").write_text(text)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", text)
    return git(folder, "rev-parse", "HEAD").strip()


def run(*flags: str, **variables: str) -> subprocess.CompletedProcess[str]:
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **variables}
    return subprocess.run(
        [sys.executable, PROGRAM, *flags], env=env, capture_output=True, text=True, timeout=60, check=False
    )


def test_branch_is_checked_out_behind_a_link(repository: Path, tmp_path: Path):
    root = tmp_path / "root"
    process = run(f"--repo={repository}", "--ref", "main", f"--root={root}", "--link=code", "--one-time", "--depth=1")
    newest = git(repository, "rev-parse", "main").strip()
    assert (process.returncode, process.stderr) == (
        0,
        f"git-sync stand-in: updated successfully: main is at {newest}\n",
    )
    assert str((root / "code").readlink()) == f".worktrees/{newest}"
    assert (root / "code" / "text").read_text() == "one"


def test_flags_override_variables(repository: Path, tmp_path: Path):
    commit(repository, "two")
    variables = {"GITSYNC_REPO": str(repository), "GITSYNC_ROOT": str(tmp_path / "root"), "GITSYNC_ONE_TIME": "true"}
    assert run(**variables, GITSYNC_REF="v1").returncode == 0
    assert (tmp_path / "root" / "scripts.git" / "text").read_text() == "one"
    assert run("--ref=main", **variables, GITSYNC_REF="v1").returncode == 0
    assert (tmp_path / "root" / "scripts.git" / "text").read_text() == "two"


def test_new_commit_replaces_the_old_files(repository: Path, tmp_path: Path):
    words = [f"--repo={repository}", f"--root={tmp_path / 'root'}", "--link=code", "--period=100ms"]
    with subprocess.Popen([sys.executable, PROGRAM, *words], stderr=subprocess.DEVNULL) as process:
        try:
            file = tmp_path / "root" / "code" / "text"
            wait_for("the first files", lambda: check_text(file, "one"), deadline_s=30, interval_s=0.1)
            newest = commit(repository, "two")
            wait_for("the new files", lambda: check_text(file, "two"), deadline_s=30, interval_s=0.1)
        finally:
            process.terminate()
    assert process.returncode == 143
    assert [one.name for one in (tmp_path / "root" / ".worktrees").iterdir()] == [newest]


def check_text(file: Path, expected: str) -> None:
    text = file.read_text() if file.exists() else None
    if text != expected:
        raise NotYet(f"{file} contains {text!r}")


def test_http_status_is_200_after_the_first_sync(repository: Path, tmp_path: Path):
    late = tmp_path / "late.git"
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{one.getsockname()[1]}"
    words = [f"--repo={late}", f"--root={tmp_path / 'root'}", "--max-failures=-1", "--period=100ms"]
    command = [sys.executable, PROGRAM, *words, f"--http-bind={address}"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for("status 503", lambda: check_status(address, 503), deadline_s=30, interval_s=0.1)
            repository.rename(late)
            wait_for("status 200", lambda: check_status(address, 200), deadline_s=30, interval_s=0.1)
        finally:
            process.terminate()


def check_status(address: str, expected: int) -> None:
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"http://{address}/") as reply:
            status = reply.status
    except urllib.error.HTTPError as error:
        status = error.code
    except OSError as error:
        raise NotYet(str(error)) from None
    if status != expected:
        raise NotYet(f"the status is {status}")


@pytest.mark.parametrize(("limit", "failures"), [("0", 1), ("3", 3)])
def test_program_exits_after_max_failures(tmp_path: Path, limit: str, failures: int):
    process = run("--repo=/nonexistent", f"--root={tmp_path}", f"--max-failures={limit}", "--period=10ms")
    assert (process.returncode, process.stderr.count("git-sync stand-in: failure ")) == (1, failures)
    assert process.stderr.endswith("git-sync stand-in: too many failures, aborting\n")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "required flag: --root must be specified"),
        (["--root=/git"], "required flag: --repo must be specified"),
        (["--root=/git", "--repo=r", "--brunch=main"], "unrecognized arguments: --brunch=main"),
        (
            ["--root=/git", "--repo=r", "--period=10"],
            "argument --period: '10' is not a duration. Write it as 10s or 1m30s.",
        ),
        (
            ["--root=/git", "--repo=r", "--webhook-url=http://x"],
            "--webhook-url is a flag of git-sync that this stand-in does not support",
        ),
    ],
)
def test_invalid_and_unsupported_flags_are_rejected(flags: list[str], message: str):
    process = run(*flags)
    assert (process.returncode, process.stderr.splitlines()[-1]) == (2, f"git-sync: error: {message}")
