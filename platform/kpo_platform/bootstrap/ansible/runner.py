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
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from kpo_platform.bootstrap.ansible import channel
from kpo_platform.bootstrap.ansible.payload import Work
from kpo_platform.bootstrap.model import Plan
from kpo_platform.errors import BootstrapError
from kpo_platform.kube import Kube

_ORPHAN_SECONDS = 5.0
_PROJECT = Path(__file__).parents[1] / "playbook"
_SOURCE_ROOT = Path(__file__).parents[3]


class Progress(Protocol):
    """Who is told how far the run is."""

    def started(self, task: str) -> None:
        """A task of the playbook begins."""

    def done(self, target: str, changed: bool) -> None:
        """An object is written."""


def rehearse(kube: Kube, plan: Plan) -> None:
    """Let the API server check every write to Kubernetes, so that what it would refuse is known before the first.

    Raises:
        ClusterError: it would refuse one.
    """
    for action in plan.objects:
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
        found = shutil.which("ansible-playbook", path=_path())
    if found is None:
        raise BootstrapError("Ansible is not installed: pip install 'kpo-platform[bootstrap]'.")


def run(parts: Mapping[str, Work], timeout: float, progress: Progress) -> None:
    """Do the work by ansible-runner. What was done stays, and a second run goes on from there.

    Args:
        parts: the work of each task.
        timeout: seconds after which the run is ended.
        progress: is told of each task and write.

    Raises:
        BootstrapError: it could not complete.
        KeyboardInterrupt: Ctrl-C, or SIGTERM.
    """
    watch = _Watch(progress)
    with channel.folder() as directory, _stoppable() as stopped:
        path = Path(directory) / "work.sock"
        with channel.serve(path, parts), _environment(_for_ansible(directory)):
            status = _play(directory, path, timeout, watch, stopped)
        _end_orphans(directory)
    if stopped.is_set():
        raise KeyboardInterrupt
    if status == "timeout":
        raise BootstrapError(
            f"Not done within {timeout:.0f} s, last seen: {watch.last}; run again, or give more with --timeout."
        )
    if status != "successful":
        raise BootstrapError(watch.failure or f"Ansible ended as {status}, last seen: {watch.last}.")


def _play(directory: str, path: Path, timeout: float, watch: _Watch, stopped: threading.Event) -> str:
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


class _Watch:
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
            self._progress.started(self.last)
        elif kind in ("runner_on_ok", "runner_on_failed"):
            for each in result.get("done") or []:
                self._progress.done(str(each["target"]), bool(each["changed"]))
            if kind == "runner_on_failed":
                self.failure = str(result.get("msg", ""))
        elif kind in ("error", "verbose") and str(event.get("stdout", "")).strip():
            self.last = str(event["stdout"]).strip().splitlines()[-1]  # Ansible itself failed before any task
        return False  # ansible-runner then writes no file for the event


@contextmanager
def _stoppable() -> Iterator[threading.Event]:
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
def _environment(wanted: Mapping[str, str]) -> Iterator[None]:
    """Have exactly this environment for a while: ansible-runner copies all of it to disk."""
    before = os.environ.copy()
    os.environ.clear()
    os.environ.update(wanted)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _end_orphans(directory: str) -> None:
    """End what is left of Ansible after a run was stopped, before its directory goes.

    ansible-core (seen in 2.19) puts its workers into sessions of their own, where the signal by which ansible-runner
    ends ansible-playbook does not reach them. They are known by their environment, which names the directory; where
    there is no /proc they end by themselves after their current task.
    """
    mark = f"TMPDIR={directory}".encode()
    end = time.monotonic() + _ORPHAN_SECONDS
    while time.monotonic() < end:
        orphans = [file.parent.name for file in Path("/proc").glob("[0-9]*/environ") if mark in _split(file)]
        if not orphans:
            return
        for orphan in orphans:
            with suppress(ProcessLookupError):
                os.kill(int(orphan), signal.SIGKILL)


def _split(environ: Path) -> list[bytes]:
    try:
        return environ.read_bytes().split(b"\0")
    except OSError:
        return []  # it has ended, or belongs to another user


def _for_ansible(directory: str) -> dict[str, str]:
    return {
        "PATH": _path(),
        "PYTHONPATH": _python_path(),
        "HOME": directory,
        "TMPDIR": directory,
        "LC_ALL": "C.UTF-8",  # Ansible refuses to start in another encoding than UTF-8
        "ANSIBLE_CONFIG": str(_PROJECT / "ansible.cfg"),
        "ANSIBLE_HOME": directory,
        "ANSIBLE_LOCAL_TEMP": directory,
        "ANSIBLE_REMOTE_TEMP": directory,
    }


def _path() -> str:
    """PATH with our own interpreter's programs first: Ansible is installed beside it, activated or not."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])


def _python_path() -> str:
    """Where the modules find this package when it runs from a checkout; Ansible changes the directory."""
    given = [str(Path(each).absolute()) for each in os.environ.get("PYTHONPATH", "").split(os.pathsep) if each]
    installed = _SOURCE_ROOT.name in ("site-packages", "dist-packages")
    return os.pathsep.join(given if installed else [str(_SOURCE_ROOT), *given])
