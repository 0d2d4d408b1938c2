"""The stand-in for git-sync takes the flags of version 4, does what they say, and refuses what it cannot do."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from common.paths import REPOSITORY
from common.run import capture
from common.waiting import NotYet, wait_for

PROGRAM = REPOSITORY / "scripts" / "images" / "containers" / "git-sync" / "git-sync"
AUTHOR = ("-c", "user.name=t", "-c", "user.email=t@example.test")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with the branch main, which says one, and a tag v1 there."""
    folder = tmp_path / "scripts.git"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    commit(folder, "one")
    git(folder, "tag", "v1")
    return folder


def git(folder: Path, *words: str) -> str:
    return capture(["git", "-C", folder, *AUTHOR, *words])


def commit(folder: Path, text: str) -> str:
    (folder / "say").write_text(text)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", text)
    return git(folder, "rev-parse", "HEAD").strip()


def run(*flags: str, **variables: str) -> subprocess.CompletedProcess[str]:
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **variables}
    return subprocess.run(
        [sys.executable, PROGRAM, *flags], env=env, capture_output=True, text=True, timeout=60, check=False
    )


def test_the_files_of_a_branch_appear_behind_a_link(repository: Path, tmp_path: Path):
    root = tmp_path / "root"
    done = run(f"--repo={repository}", "--ref", "main", f"--root={root}", "--link=code", "--one-time", "--depth=1")
    newest = git(repository, "rev-parse", "main").strip()
    assert (done.returncode, done.stderr) == (
        0,
        f"git-sync stand-in: updated successfully: main is at {newest}\n",
    )
    assert str((root / "code").readlink()) == f".worktrees/{newest}"
    assert (root / "code" / "say").read_text() == "one"


def test_variables_say_the_same_as_flags_and_flags_are_stronger(repository: Path, tmp_path: Path):
    commit(repository, "two")
    variables = {"GITSYNC_REPO": str(repository), "GITSYNC_ROOT": str(tmp_path / "root"), "GITSYNC_ONE_TIME": "true"}
    assert run(**variables, GITSYNC_REF="v1").returncode == 0
    assert (tmp_path / "root" / "scripts.git" / "say").read_text() == "one"
    assert run("--ref=main", **variables, GITSYNC_REF="v1").returncode == 0
    assert (tmp_path / "root" / "scripts.git" / "say").read_text() == "two"


def test_a_new_commit_is_followed_and_the_old_files_go(repository: Path, tmp_path: Path):
    words = [f"--repo={repository}", f"--root={tmp_path / 'root'}", "--link=code", "--period=100ms"]
    with subprocess.Popen([sys.executable, PROGRAM, *words], stderr=subprocess.DEVNULL) as process:
        try:
            seen = tmp_path / "root" / "code" / "say"
            wait_for("the first files", lambda: says(seen, "one"), deadline_s=30, interval_s=0.1)
            newest = commit(repository, "two")
            wait_for("the new files", lambda: says(seen, "two"), deadline_s=30, interval_s=0.1)
        finally:
            process.terminate()
    assert process.returncode == 143
    assert [one.name for one in (tmp_path / "root" / ".worktrees").iterdir()] == [newest]


def says(file: Path, text: str) -> None:
    found = file.read_text() if file.exists() else None
    if found != text:
        raise NotYet(f"{file} says {found!r}")


def test_over_http_it_is_ready_once_the_files_are_there(repository: Path, tmp_path: Path):
    late = tmp_path / "late.git"
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{one.getsockname()[1]}"
    words = [f"--repo={late}", f"--root={tmp_path / 'root'}", "--max-failures=-1", "--period=100ms"]
    command = [sys.executable, PROGRAM, *words, f"--http-bind={address}"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for("the answer not yet", lambda: answers(address, 503), deadline_s=30, interval_s=0.1)
            repository.rename(late)
            wait_for("the answer ready", lambda: answers(address, 200), deadline_s=30, interval_s=0.1)
        finally:
            process.terminate()


def answers(address: str, wanted: int) -> None:
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"http://{address}/") as reply:
            status = reply.status
    except urllib.error.HTTPError as error:
        status = error.code
    except OSError as error:
        raise NotYet(str(error)) from None
    if status != wanted:
        raise NotYet(f"it answers {status}")


@pytest.mark.parametrize(("limit", "failures"), [("0", 1), ("3", 3)])
def test_it_gives_up_after_as_many_failures_as_it_may_have(tmp_path: Path, limit: str, failures: int):
    done = run("--repo=/nonexistent", f"--root={tmp_path}", f"--max-failures={limit}", "--period=10ms")
    assert (done.returncode, done.stderr.count("git-sync stand-in: failure ")) == (1, failures)
    assert done.stderr.endswith("git-sync stand-in: too many failures, aborting\n")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ([], "required flag: --root must be specified"),
        (["--root=/git"], "required flag: --repo must be specified"),
        (["--root=/git", "--repo=r", "--brunch=main"], "unrecognized arguments: --brunch=main"),
        (
            ["--root=/git", "--repo=r", "--period=10"],
            "argument --period: '10' is no duration: write it as 10s or 1m30s",
        ),
        (
            ["--root=/git", "--repo=r", "--webhook-url=http://x"],
            "--webhook-url is a flag of git-sync, but this is a stand-in that does not do its work",
        ),
    ],
)
def test_what_it_cannot_do_is_refused(flags: list[str], said: str):
    done = run(*flags)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (2, f"git-sync: error: {said}")
