"""Dry-run a plan's writes on the API server, and apply them with ansible-runner.

ansible-runner stores its variables and the whole environment of its process on disk, and handles SIGINT itself unless
it has a cancel callback. So this module gives it no secrets, an environment of its own, and a cancel callback.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from kpo_platform.bootstrap.ansible import channel
from kpo_platform.bootstrap.ansible.payload import TaskPayload
from kpo_platform.bootstrap.model import Plan
from kpo_platform.errors import BootstrapError
from kpo_platform.kube import Kube, kill_processes

_ORPHAN_SECONDS = 5.0
_PROJECT = Path(__file__).parents[1] / "playbook"
_SOURCE_ROOT = Path(__file__).parents[3]


class Progress(Protocol):
    """Callbacks for the progress of a run."""

    def report_task(self, task: str) -> None:
        """Report that a task of the playbook starts."""

    def report_write(self, target: str, changed: bool) -> None:
        """Report that an object was written."""


def dry_run_writes(kube: Kube, plan: Plan) -> None:
    """Dry-run all writes to Kubernetes on the API server.

    A rejected write is found before the first real write.

    Raises:
        ClusterError: the API server rejects a write.
    """
    for action in plan.object_writes:
        kube.apply(action.body, dry_run=True)


def require_ansible() -> None:
    """Check that Ansible is installed.

    Raises:
        BootstrapError: it is not installed.
    """
    try:
        import ansible_runner  # noqa: F401
    except ImportError:
        program = None
    else:
        program = shutil.which("ansible-playbook", path=_build_path())
    if program is None:
        raise BootstrapError("Ansible is not installed. Run pip install 'kpo-platform[bootstrap]'.")


def run_playbook(payloads: Mapping[str, TaskPayload], timeout: float, progress: Progress) -> None:
    """Run the playbook with ansible-runner.

    If the run fails, completed writes stay, and a second run continues after them.

    Args:
        payloads: the payload of each task.
        timeout: the timeout of the run in seconds.
        progress: is called for each task and each write.

    Raises:
        BootstrapError: the run could not complete.
        KeyboardInterrupt: Ctrl-C or SIGTERM.
    """
    handler = _EventHandler(progress)
    with channel.create_private_directory() as directory, _catch_signals() as stop_requested:
        path = Path(directory) / "work.sock"
        with channel.serve_payloads(path, payloads), _replace_environment(_build_environment(directory)):
            status = _run_ansible(directory, path, timeout, handler, stop_requested)
        _kill_orphans(directory)
    if stop_requested.is_set():
        raise KeyboardInterrupt
    if status == "timeout":
        raise BootstrapError(
            f"Bootstrap timed out after {timeout:.0f} s, last step: {handler.last_step}. Run again or raise --timeout."
        )
    if status != "successful":
        raise BootstrapError(
            handler.failure or f"Ansible ended with status {status}, last step: {handler.last_step}. Run again."
        )


def _run_ansible(
    directory: str, path: Path, timeout: float, handler: _EventHandler, stop_requested: threading.Event
) -> str:
    import ansible_runner

    result = ansible_runner.run(
        private_data_dir=directory,
        project_dir=str(_PROJECT),
        playbook="bootstrap.yml",
        inventory=[],
        extravars={"kpo_socket": str(path)},
        settings={"suppress_output_file": True, "pexpect_timeout": 1},
        event_handler=handler,
        cancel_callback=stop_requested.is_set,
        timeout=max(1, int(timeout)),
        quiet=True,
    )
    return str(result.status)


class _EventHandler:
    """Report Ansible's events as progress.

    ansible-runner writes none of them to disk.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.last_step = "Ansible starting"
        self.failure = ""

    def __call__(self, event: dict[str, Any]) -> bool:
        kind, data = event.get("event"), event.get("event_data") or {}
        result = data.get("res") or {}
        if kind == "playbook_on_task_start":
            self.last_step = str(data.get("task"))
            self._progress.report_task(self.last_step)
        elif kind in ("runner_on_ok", "runner_on_failed"):
            for write in result.get("done") or []:
                self._progress.report_write(str(write["target"]), bool(write["changed"]))
            if kind == "runner_on_failed":
                self.failure = str(result.get("msg", ""))
        elif kind in ("error", "verbose") and str(event.get("stdout", "")).strip():
            self.last_step = str(event["stdout"]).strip().splitlines()[-1]  # Ansible failed before the first task
        return False  # ansible-runner then writes no file for the event


@contextmanager
def _catch_signals() -> Iterator[threading.Event]:
    """Turn SIGINT and SIGTERM into an event.

    Ansible runs in another session and would outlive this process.
    """
    stop_requested = threading.Event()
    signals = (signal.SIGINT, signal.SIGTERM)
    old_handlers = [signal.signal(number, lambda *_: stop_requested.set()) for number in signals]
    try:
        yield stop_requested
    finally:
        for number, handler in zip(signals, old_handlers, strict=True):
            signal.signal(number, handler)


@contextmanager
def _replace_environment(environment: Mapping[str, str]) -> Iterator[None]:
    """Replace the environment of this process in a context.

    ansible-runner copies all of it to disk.
    """
    old_environment = os.environ.copy()
    os.environ.clear()
    os.environ.update(environment)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(old_environment)


def _kill_orphans(directory: str) -> None:
    """Kill Ansible's remaining workers before their temporary directory is removed.

    ansible-core (seen in 2.19) starts its workers in sessions of their own. The signal with which ansible-runner ends
    ansible-playbook does not reach them there. Without /proc they end after their current task.
    """
    end = time.monotonic() + _ORPHAN_SECONDS
    while time.monotonic() < end and kill_processes(f"TMPDIR={directory}"):
        pass


def _build_environment(directory: str) -> dict[str, str]:
    return {
        "PATH": _build_path(),
        "PYTHONPATH": _build_python_path(),
        "HOME": directory,
        "TMPDIR": directory,
        "LC_ALL": "C.UTF-8",  # Ansible requires UTF-8
        "ANSIBLE_CONFIG": str(_PROJECT / "ansible.cfg"),
        "ANSIBLE_HOME": directory,
        "ANSIBLE_LOCAL_TEMP": directory,
        "ANSIBLE_REMOTE_TEMP": directory,
    }


def _build_path() -> str:
    """Build a PATH that starts with the folder of this interpreter, where Ansible is installed."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])


def _build_python_path() -> str:
    """Build a PYTHONPATH with which Ansible's modules can import this package.

    All paths are absolute, because Ansible changes the working directory.
    """
    paths = [str(Path(path).absolute()) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    is_installed = _SOURCE_ROOT.name in ("site-packages", "dist-packages")
    return os.pathsep.join(paths if is_installed else [str(_SOURCE_ROOT), *paths])
