"""ansible-runner with real Ansible, against a server that answers as both APIs would."""

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
# What a person's environment may hold; ansible-runner would write it to disk.
ENVIRONMENT = {"AWS_SECRET_ACCESS_KEY": CANARY}


class Notes:
    """A progress that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def task_started(self, task: str) -> None:
        self.told.append(task)

    def object_written(self, target: str, changed: bool) -> None:
        self.told.append(f"{target}: {'changed' if changed else 'unchanged'}")


def agreeing(request: Request) -> Answer:
    if request.method == "PATCH":
        return 200, {**request.body, "metadata": {**request.body["metadata"], "resourceVersion": "5"}}
    return 201, request.body


def parts(server: Server, directory: Path) -> dict[str, payload.TaskPayload]:
    cluster = payload.ClusterAccess(
        kubeconfig=server.kubeconfig(directory), context=None, timeout=30, environment=ENVIRONMENT
    )
    airflow = payload.AirflowAccess(url=server.url, namespace="airflow", service=SERVICE, token=CANARY)
    return dict(payload.build_payloads(PLAN, cluster, airflow))


@pytest.fixture
def scratch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The only place for temporary files; pytest's own folders have paths too long for sockets."""
    with tempfile.TemporaryDirectory(prefix="kpo-", dir="/tmp") as directory:
        monkeypatch.setattr("tempfile.tempdir", directory)
        monkeypatch.setenv("TMPDIR", directory)
        yield Path(directory)


def test_run_makes_every_write_and_reports_each(tmp_path: Path, scratch: Path):
    notes = Notes()
    with serving(agreeing) as server:
        runner.run_playbook(parts(server, tmp_path), 60, notes)
    assert server.seen == WRITES
    assert notes.told == [
        "Apply registry secrets and volume claims",
        "Secret team-alpha/regcred: changed",
        "PersistentVolumeClaim team-alpha/data: unchanged",
        "Write Airflow connections",
        "Connection k8s_default: changed",
    ]
    assert list(scratch.iterdir()) == []


def forms(secret: str) -> list[bytes]:
    """A secret as it is and in base64, at each of the three places where it can begin in a longer text."""
    shifted = [base64.b64encode(b"." * skip + secret.encode())[4:-4] for skip in range(3)]
    return [secret.encode(), *shifted]


def holders(secret: str, files: list[Path]) -> list[str]:
    """The files that hold a secret in any form."""
    found = []
    for file in files:
        try:
            content = file.read_bytes()
        except OSError:
            continue
        if any(form in content for form in forms(secret)):
            found.append(str(file))
    return found


def test_secrets_stay_out_of_files_arguments_and_environments(
    tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
):
    found: list[str] = []
    looked_at: list[Path] = []

    def looking(request: Request) -> Answer:
        # At this moment a module works and Ansible has written whatever it writes.
        processes = [each for name in ("cmdline", "environ") for each in Path("/proc").glob(f"[0-9]*/{name}")]
        looked_at.extend([*(file for file in scratch.rglob("*") if file.is_file()), *processes])
        found.extend(holders(CANARY, looked_at))
        return agreeing(request)

    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", CANARY)
    control = tmp_path / "control"
    control.write_bytes(base64.b64encode(f"robot:{CANARY}".encode()))
    with serving(looking) as server:
        runner.run_playbook(
            parts(server, tmp_path), 180, Notes()
        )  # a look at every process takes its time on a busy machine
    assert holders(CANARY, [control]) == [str(control)]
    assert any(scratch in file.parents for file in looked_at)
    assert found == []


def test_rejected_write_fails_the_run_and_reports_earlier_writes(tmp_path: Path, scratch: Path):
    def refusing(request: Request) -> Answer:
        return status(409, "conflict with helm") if "persistent" in request.path else agreeing(request)

    notes = Notes()
    with serving(refusing) as server, pytest.raises(BootstrapError) as error:
        runner.run_playbook(parts(server, tmp_path), 60, notes)
    assert str(error.value) == (
        "The API server refused to create or patch persistentvolumeclaims/data in namespace team-alpha: "
        "conflict with helm"
    )
    assert notes.told == ["Apply registry secrets and volume claims", "Secret team-alpha/regcred: changed"]
    assert server.seen == WRITES[:2]


def test_run_past_its_timeout_ends_and_names_the_last_task(tmp_path: Path, scratch: Path):
    def slow(request: Request) -> Answer:
        time.sleep(20)
        return agreeing(request)

    with serving(slow) as server, pytest.raises(BootstrapError) as error:
        runner.run_playbook(parts(server, tmp_path), 8, Notes())
    assert str(error.value) == (
        "Bootstrap timed out after 8 s, last step: Apply registry secrets and volume claims. "
        "Run again or raise --timeout."
    )
    assert left_over(scratch) == []


def run_in_this_process(url: str, folder: str) -> None:
    """Run until the end or Ctrl-C, with the exit code of platformctl."""
    try:
        runner.run_playbook(parts(Server(url, []), Path(folder)), 60, Notes())
    except KeyboardInterrupt:
        sys.exit(130)


PROGRAM = f"import sys; from {__name__} import run_in_this_process; run_in_this_process(*sys.argv[1:])"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_the_run_and_leaves_no_files_or_processes(tmp_path: Path, scratch: Path, number: signal.Signals):
    arrived = threading.Event()

    def hanging(request: Request) -> Answer:
        arrived.set()
        time.sleep(20)
        return agreeing(request)

    with serving(hanging) as server:
        path = os.pathsep.join(each for each in sys.path if each)
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, server.url, str(tmp_path)],
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,
        )
        assert arrived.wait(60)
        process.send_signal(number)
        assert process.wait(15) == 130
    assert left_over(scratch) == []
    assert server.seen == WRITES[:1]


def left_over(scratch: Path) -> list[str]:
    """Files in the temporary directory and processes that speak of it."""
    processes = [
        command.decode(errors="replace")
        for file in Path("/proc").glob("[0-9]*/cmdline")
        if str(scratch).encode() in (command := _read(file))
    ]
    return [*(str(each) for each in scratch.iterdir()), *processes]


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        return b""


def test_run_restores_environment_and_signal_handlers(tmp_path: Path, scratch: Path):
    before = dict(os.environ), signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with serving(agreeing) as server:
        runner.run_playbook(parts(server, tmp_path), 60, Notes())
    assert (dict(os.environ), signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for temporary files in whose sub-folders no socket can be."""
    directory = tmp_path / ("x" * 100)
    directory.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(directory))
    monkeypatch.setenv("TMPDIR", str(directory))
    return directory


def test_long_temporary_folder_falls_back_to_the_runtime_folder(
    tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
):
    directory = too_long(tmp_path, monkeypatch)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(scratch))
    with channel.private_directory() as made:
        assert Path(made).parent == scratch
        assert stat.S_IMODE(Path(made).stat().st_mode) == 0o700
    with serving(agreeing) as server:
        runner.run_playbook(parts(server, tmp_path), 60, Notes())
    assert server.seen == WRITES
    assert [*scratch.iterdir(), *directory.iterdir()] == []
