"""The edge where a plan becomes real: a rehearsal by the API server, then one run of ansible-runner.

What ansible-runner does with secrets, signals and the environment decides the form of this module: it stores the
whole environment of its process on disk, its variables too, and takes SIGINT over unless it has a cancel callback.
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
    """Who is told how far the run is."""

    def task_started(self, task: str) -> None:
        """A task of the playbook begins."""

    def object_written(self, target: str, changed: bool) -> None:
        """An object is written."""


def dry_run_writes(kube: Kube, plan: Plan) -> None:
    """Let the API server check every write to Kubernetes, so that what it would refuse is known before the first.

    Raises:
        ClusterError: it would refuse one.
    """
    for action in plan.object_writes:
        kube.apply(action.body, dry_run=True)


def require_ansible() -> None:
    """Be sure that there is an Ansible to run.

    Raises:
        BootstrapError: there is none.
    """
    try:
        import ansible_runner  # noqa: F401
    except ImportError:
        found = None
    else:
        found = shutil.which("ansible-playbook", path=_build_path())
    if found is None:
        raise BootstrapError("Ansible is not installed: pip install 'kpo-platform[bootstrap]'.")


def run_playbook(parts: Mapping[str, TaskPayload], timeout: float, progress: Progress) -> None:
    """Do the work by ansible-runner. What was done stays, and a second run goes on from there.

    Args:
        parts: the work of each task.
        timeout: seconds after which the run is ended.
        progress: is told of each task and write.

    Raises:
        BootstrapError: it could not complete.
        KeyboardInterrupt: Ctrl-C, or SIGTERM.
    """
    watch = _EventHandler(progress)
    with channel.private_directory() as directory, _catch_signals() as stopped:
        path = Path(directory) / "work.sock"
        with channel.serve_payloads(path, parts), _replace_environment(_build_environment(directory)):
            status = _run_ansible(directory, path, timeout, watch, stopped)
        _kill_orphans(directory)
    if stopped.is_set():
        raise KeyboardInterrupt
    if status == "timeout":
        raise BootstrapError(
            f"Not done within {timeout:.0f} s, last seen: {watch.last}; run again, or give more with --timeout."
        )
    if status != "successful":
        raise BootstrapError(watch.failure or f"Ansible ended as {status}, last seen: {watch.last}.")


def _run_ansible(directory: str, path: Path, timeout: float, watch: _EventHandler, stopped: threading.Event) -> str:
    import ansible_runner

    result = ansible_runner.run(
        private_data_dir=directory,
        project_dir=str(_PROJECT),
        playbook="bootstrap.yml",
        inventory=[],
        extravars={"kpo_socket": str(path)},
        settings={"suppress_output_file": True, "pexpect_timeout": 1},
        event_handler=watch,
        cancel_callback=stopped.is_set,
        timeout=max(1, int(timeout)),
        quiet=True,
    )
    return str(result.status)


class _EventHandler:
    """Turns Ansible's events into progress, and keeps none of them on disk."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.last = "Ansible starting"
        self.failure = ""

    def __call__(self, event: dict[str, Any]) -> bool:
        kind, data = event.get("event"), event.get("event_data") or {}
        result = data.get("res") or {}
        if kind == "playbook_on_task_start":
            self.last = str(data.get("task"))
            self._progress.task_started(self.last)
        elif kind in ("runner_on_ok", "runner_on_failed"):
            for each in result.get("done") or []:
                self._progress.object_written(str(each["target"]), bool(each["changed"]))
            if kind == "runner_on_failed":
                self.failure = str(result.get("msg", ""))
        elif kind in ("error", "verbose") and str(event.get("stdout", "")).strip():
            self.last = str(event["stdout"]).strip().splitlines()[-1]  # Ansible itself failed before any task
        return False  # ansible-runner then writes no file for the event


@contextmanager
def _catch_signals() -> Iterator[threading.Event]:
    """Turn SIGINT and SIGTERM into an event: Ansible runs in a session of its own and would outlive us."""
    stopped = threading.Event()
    signals = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(each, lambda *_: stopped.set()) for each in signals]
    try:
        yield stopped
    finally:
        for each, handler in zip(signals, before, strict=True):
            signal.signal(each, handler)


@contextmanager
def _replace_environment(wanted: Mapping[str, str]) -> Iterator[None]:
    """Have exactly this environment for a while: ansible-runner copies all of it to disk."""
    before = os.environ.copy()
    os.environ.clear()
    os.environ.update(wanted)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _kill_orphans(directory: str) -> None:
    """Kill Ansible's remaining workers before their temporary directory is removed.

    ansible-core 2.19 starts its workers in sessions of their own. The signal with which ansible-runner ends
    ansible-playbook does not reach them there. A worker may start another one, so this repeats until none is left.
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
        "LC_ALL": "C.UTF-8",  # Ansible refuses to start in another encoding than UTF-8
        "ANSIBLE_CONFIG": str(_PROJECT / "ansible.cfg"),
        "ANSIBLE_HOME": directory,
        "ANSIBLE_LOCAL_TEMP": directory,
        "ANSIBLE_REMOTE_TEMP": directory,
    }


def _build_path() -> str:
    """PATH with our own interpreter's programs first: Ansible is installed beside it, activated or not."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])


def _build_python_path() -> str:
    """Where the modules find this package when it runs from a checkout; Ansible changes the directory."""
    given = [str(Path(each).absolute()) for each in os.environ.get("PYTHONPATH", "").split(os.pathsep) if each]
    installed = _SOURCE_ROOT.name in ("site-packages", "dist-packages")
    return os.pathsep.join(given if installed else [str(_SOURCE_ROOT), *given])
