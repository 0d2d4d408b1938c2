"""bootstrap.ansible.runner with real Ansible, against a fake of the Kubernetes and Airflow APIs."""

from __future__ import annotations

import base64
import os
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kpo_platform.bootstrap.ansible import channel, payload, runner
from kpo_platform.bootstrap.model import Action, ObjectRef, Plan, Verb
from kpo_platform.contract import Service
from kpo_platform.errors import BootstrapError
from unit.support.http_server import Answer, Request, Server, serving, status

CANARY = "canary-3f9a-password"
SERVICE = Service(name="api", port=80)
SECRET_PATH = "/api/v1/namespaces/team-alpha/secrets/regcred?fieldManager=platformctl&force=false"
CLAIM_PATH = "/api/v1/namespaces/team-alpha/persistentvolumeclaims/data?fieldManager=platformctl&force=false"
SECRET: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"namespace": "team-alpha", "name": "regcred"},
    "data": {"password": base64.b64encode(CANARY.encode()).decode()},
}
CLAIM: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"namespace": "team-alpha", "name": "data"},
}
CONNECTION: dict[str, Any] = {"connection_id": "k8s_default", "extra": f'{{"kube_config": "{CANARY}"}}'}
PLAN = Plan(
    (
        Action(Verb.CREATE, ObjectRef("Secret", "team-alpha", "regcred"), body=SECRET),
        Action(Verb.CHANGE, ObjectRef("PersistentVolumeClaim", "team-alpha", "data"), body=CLAIM, resource_version="5"),
        Action(Verb.CREATE, ObjectRef("Connection", "", "k8s_default"), body=CONNECTION),
        Action(Verb.UNCHANGED, ObjectRef("Connection", "", "other")),
    )
)
WRITES = [
    Request("PATCH", SECRET_PATH, SECRET),
    Request("PATCH", CLAIM_PATH, CLAIM),
    Request("POST", "/api/v2/connections", CONNECTION),
]
# A user's environment may hold secrets, and ansible-runner would write them to disk.
ENVIRONMENT = {"AWS_SECRET_ACCESS_KEY": CANARY}


class RecordedProgress:
    """A Progress that records its calls."""

    def __init__(self) -> None:
        self.entries: list[str] = []

    def report_task(self, task: str) -> None:
        self.entries.append(task)

    def report_write(self, target: str, changed: bool) -> None:
        self.entries.append(f"{target}: {'changed' if changed else 'unchanged'}")


def accept(request: Request) -> Answer:
    if request.method == "PATCH":
        return 200, {**request.body, "metadata": {**request.body["metadata"], "resourceVersion": "5"}}
    return 201, request.body


def build_payloads(server: Server, directory: Path) -> dict[str, payload.TaskPayload]:
    cluster = payload.ClusterAccess(
        kubeconfig=server.kubeconfig(directory), context=None, timeout=30, environment=ENVIRONMENT
    )
    airflow = payload.AirflowAccess(url=server.url, namespace="airflow", service=SERVICE, token=CANARY)
    return dict(payload.build_payloads(PLAN, cluster, airflow))


@pytest.fixture
def temporary_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder for temporary files. Paths in pytest's own folders are too long for sockets."""
    with tempfile.TemporaryDirectory(prefix="kpo-", dir="/tmp") as directory:
        monkeypatch.setattr("tempfile.tempdir", directory)
        monkeypatch.setenv("TMPDIR", directory)
        yield Path(directory)


def test_run_makes_every_write_and_reports_each(tmp_path: Path, temporary_folder: Path):
    progress = RecordedProgress()
    with serving(accept) as server:
        runner.run_playbook(build_payloads(server, tmp_path), 60, progress)
    assert server.seen == WRITES
    assert progress.entries == [
        "Apply registry secrets and volume claims",
        "Secret team-alpha/regcred: changed",
        "PersistentVolumeClaim team-alpha/data: unchanged",
        "Write Airflow connections",
        "Connection k8s_default: changed",
    ]
    assert list(temporary_folder.iterdir()) == []


def encode_secret(secret: str) -> list[bytes]:
    """Encode a secret as plain text and in base64, at each of the three offsets it can have in a longer text."""
    shifted = [base64.b64encode(b"." * skip + secret.encode())[4:-4] for skip in range(3)]
    return [secret.encode(), *shifted]


def find_files_with_secret(secret: str, files: list[Path]) -> list[str]:
    """Find the files that hold a secret in any encoding."""
    files_with_secret = []
    for file in files:
        try:
            content = file.read_bytes()
        except OSError:
            continue
        if any(form in content for form in encode_secret(secret)):
            files_with_secret.append(str(file))
    return files_with_secret


def test_secrets_stay_out_of_files_arguments_and_environments(
    tmp_path: Path, temporary_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    files_with_secret: list[str] = []
    searched_files: list[Path] = []

    def search_and_accept(request: Request) -> Answer:
        # At the time of a request a module runs, and Ansible has written its files.
        processes = [file for name in ("cmdline", "environ") for file in Path("/proc").glob(f"[0-9]*/{name}")]
        searched_files.extend([*(file for file in temporary_folder.rglob("*") if file.is_file()), *processes])
        files_with_secret.extend(find_files_with_secret(CANARY, searched_files))
        return accept(request)

    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", CANARY)
    control = tmp_path / "control"
    control.write_bytes(base64.b64encode(f"robot:{CANARY}".encode()))
    with serving(search_and_accept) as server:
        runner.run_playbook(
            build_payloads(server, tmp_path), 180, RecordedProgress()
        )  # searching every process is slow on a busy machine
    assert find_files_with_secret(CANARY, [control]) == [str(control)]
    assert any(temporary_folder in file.parents for file in searched_files)
    assert files_with_secret == []


def test_rejected_write_fails_the_run_and_reports_earlier_writes(tmp_path: Path, temporary_folder: Path):
    def reject_claim(request: Request) -> Answer:
        return status(409, "conflict with helm") if "persistent" in request.path else accept(request)

    progress = RecordedProgress()
    with serving(reject_claim) as server, pytest.raises(BootstrapError) as error:
        runner.run_playbook(build_payloads(server, tmp_path), 60, progress)
    assert str(error.value) == (
        "The API server refused to create or patch persistentvolumeclaims/data in namespace team-alpha: "
        "conflict with helm. Run the command again."
    )
    assert progress.entries == ["Apply registry secrets and volume claims", "Secret team-alpha/regcred: changed"]
    assert server.seen == WRITES[:2]


def test_run_past_its_timeout_ends_and_names_the_last_task(tmp_path: Path, temporary_folder: Path):
    def answer_slowly(request: Request) -> Answer:
        time.sleep(20)
        return accept(request)

    with serving(answer_slowly) as server, pytest.raises(BootstrapError) as error:
        runner.run_playbook(build_payloads(server, tmp_path), 8, RecordedProgress())
    assert str(error.value) == (
        "Bootstrap timed out after 8 s, last step: Apply registry secrets and volume claims. "
        "Run again or raise --timeout."
    )
    assert list_leftovers(temporary_folder) == []


def run_in_this_process(url: str, folder: str) -> None:
    """Run until the end or Ctrl-C, with the exit code of platformctl."""
    try:
        runner.run_playbook(build_payloads(Server(url, []), Path(folder)), 60, RecordedProgress())
    except KeyboardInterrupt:
        sys.exit(130)


PROGRAM = f"import sys; from {__name__} import run_in_this_process; run_in_this_process(*sys.argv[1:])"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_the_run_and_leaves_no_files_or_processes(
    tmp_path: Path, temporary_folder: Path, number: signal.Signals
):
    arrived = threading.Event()

    def hang(request: Request) -> Answer:
        arrived.set()
        time.sleep(20)
        return accept(request)

    with serving(hang) as server:
        path = os.pathsep.join(each for each in sys.path if each)
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, server.url, str(tmp_path)],
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,
        )
        assert arrived.wait(60)
        process.send_signal(number)
        assert process.wait(15) == 130
    assert list_leftovers(temporary_folder) == []
    assert server.seen == WRITES[:1]


def list_leftovers(temporary_folder: Path) -> list[str]:
    """List the files in the temporary directory and the processes with its path among their arguments."""
    processes = [
        command.decode(errors="replace")
        for file in Path("/proc").glob("[0-9]*/cmdline")
        if str(temporary_folder).encode() in (command := _read(file))
    ]
    return [*(str(file) for file in temporary_folder.iterdir()), *processes]


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        return b""


def test_run_restores_environment_and_signal_handlers(tmp_path: Path, temporary_folder: Path):
    before = dict(os.environ), signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with serving(accept) as server:
        runner.run_playbook(build_payloads(server, tmp_path), 60, RecordedProgress())
    assert (dict(os.environ), signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def use_long_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Use a folder for temporary files whose path is too long for a socket."""
    directory = tmp_path / ("x" * 100)
    directory.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(directory))
    monkeypatch.setenv("TMPDIR", str(directory))
    return directory


def test_long_temporary_folder_falls_back_to_the_runtime_folder(
    tmp_path: Path, temporary_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    directory = use_long_folder(tmp_path, monkeypatch)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(temporary_folder))
    with channel.create_private_directory() as directory_path:
        assert Path(directory_path).parent == temporary_folder
        assert stat.S_IMODE(Path(directory_path).stat().st_mode) == 0o700
    with serving(accept) as server:
        runner.run_playbook(build_payloads(server, tmp_path), 60, RecordedProgress())
    assert server.seen == WRITES
    assert [*temporary_folder.iterdir(), *directory.iterdir()] == []
