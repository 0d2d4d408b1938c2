"""airflow.bundles.git: a private repository, read over HTTP with a password."""

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
    """A server with one commit and the password `first`."""
    folder = tmp_path / "server"
    folder.mkdir()

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            expected = "Basic " + base64.b64encode(f"bot:{server.password}".encode()).decode()
            if self.headers.get("Authorization") == expected:
                super().do_GET()
                return
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), lambda *arguments: Handler(*arguments, directory=str(folder)))
    server = Server(f"http://127.0.0.1:{http.server_address[1]}/alpha.git", folder, "first")
    server.git(folder, "init", "--bare", "--initial-branch=main", "alpha.git")
    server.git(folder, "init", "--initial-branch=main", "work")
    server.commit("one.py")
    threading.Thread(target=http.serve_forever, args=(0.005,), daemon=True).start()
    yield server
    http.shutdown()
    http.server_close()


@pytest.fixture
def bundle(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TeamGitDagBundle:
    """A bundle whose connection does not exist yet."""
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH", str(tmp_path / "bundles"))
    monkeypatch.setenv("GIT_TERMINAL_PROMPT", "0")
    return TeamGitDagBundle(name="alpha", repo_url=server.url, tracking_ref="main", git_conn_id="git-alpha")


def connect(monkeypatch: pytest.MonkeyPatch, password: str) -> None:
    """Create the connection as the chart's job does."""
    connection = {"conn_type": "git", "login": "bot", "password": password}
    monkeypatch.setenv("AIRFLOW_CONN_GIT-ALPHA", json.dumps(connection))


def names(bundle: TeamGitDagBundle) -> list[str]:
    return sorted(file.name for file in bundle.path.glob("*.py"))


def test_bundle_without_its_connection_names_the_job(bundle: TeamGitDagBundle, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(RuntimeError) as refusal:
        bundle.initialize()
    assert str(refusal.value).startswith(
        "Bundle alpha cannot read its private repository: Airflow has no connection git-alpha. See the log of the "
        "chart's Job team-settings, which creates it from the team's dags.credentialsSecret; Airflow retries "
        "automatically. Airflow: "
    )
    connect(monkeypatch, "first")
    bundle.initialize()
    assert names(bundle) == ["one.py"]


def test_changed_password_is_used_at_the_next_refresh(
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
