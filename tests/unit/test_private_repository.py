"""A team's private repository, over HTTP with a password, as a real git server would ask for one."""

from __future__ import annotations

import base64
import json
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from kpo_platform.airflow.bundles.git import TeamGitDagBundle


@dataclass
class Server:
    """A git server of static files with one user, whose password can be changed."""

    url: str
    folder: Path
    password: str

    def commit(self, name: str) -> None:
        """Push a file to the repository."""
        work = self.folder / "work"
        (work / name).write_text("# a DAG\n")
        self.git(work, "add", name)
        self.git(work, "commit", "--message", name)
        self.git(work, "push", str(self.folder / "alpha.git"), "HEAD:main")
        self.git(self.folder / "alpha.git", "update-server-info")

    def git(self, folder: Path, *arguments: str) -> None:
        """Run git in a folder."""
        who = ["-c", "user.name=t", "-c", "user.email=t@example.test"]
        subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True, timeout=30)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server with one commit, which asks for the password `first`."""
    folder = tmp_path / "server"
    folder.mkdir()

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = "Basic " + base64.b64encode(f"bot:{there.password}".encode()).decode()
            if self.headers.get("Authorization") == wanted:
                super().do_GET()
                return
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), lambda *asked: Handler(*asked, directory=str(folder)))
    there = Server(f"http://127.0.0.1:{http.server_address[1]}/alpha.git", folder, "first")
    there.git(folder, "init", "--bare", "--initial-branch=main", "alpha.git")
    there.git(folder, "init", "--initial-branch=main", "work")
    there.commit("one.py")
    threading.Thread(target=http.serve_forever, args=(0.05,), daemon=True).start()
    yield there
    http.shutdown()
    http.server_close()


@pytest.fixture
def bundle(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TeamGitDagBundle:
    """The bundle as it is made while its connection is not there yet."""
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH", str(tmp_path / "bundles"))
    monkeypatch.setenv("GIT_TERMINAL_PROMPT", "0")
    return TeamGitDagBundle(name="alpha", repo_url=server.url, tracking_ref="main", git_conn_id="git-alpha")


def connect(monkeypatch: pytest.MonkeyPatch, password: str) -> None:
    """Let Airflow have the connection, as the chart's job makes it."""
    connection = {"conn_type": "git", "login": "bot", "password": password}
    monkeypatch.setenv("AIRFLOW_CONN_GIT-ALPHA", json.dumps(connection))


def names(bundle: TeamGitDagBundle) -> list[str]:
    return sorted(file.name for file in bundle.path.glob("*.py"))


def test_a_bundle_waits_for_its_connection_and_says_who_makes_it(
    bundle: TeamGitDagBundle, monkeypatch: pytest.MonkeyPatch
):
    with pytest.raises(RuntimeError) as refusal:
        bundle.initialize()
    assert str(refusal.value).startswith(
        "Bundle alpha cannot read its private repository: Airflow has no connection git-alpha. See the log of the "
        "chart's Job team-settings, which creates it from the team's dags.credentialsSecret; Airflow retries by "
        "itself. Airflow: "
    )
    connect(monkeypatch, "first")
    bundle.initialize()
    assert names(bundle) == ["one.py"]


def test_a_new_password_is_taken_without_a_restart(
    bundle: TeamGitDagBundle, server: Server, monkeypatch: pytest.MonkeyPatch
):
    connect(monkeypatch, "first")
    bundle.initialize()
    server.password = "second"
    server.commit("two.py")
    with pytest.raises(Exception, match=r"could not read Password|Authentication failed") as refusal:
        bundle.refresh()
    assert "first" not in str(refusal.value)
    connect(monkeypatch, "second")
    bundle.refresh()
    assert names(bundle) == ["one.py", "two.py"]
