"""The sign-in program that a kubeconfig may name.

The client library runs it, and would wait for it for ever; where it fails the library goes on as nobody.
"""

from __future__ import annotations

import logging
import os
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from kubernetes import client, config
from kubernetes.config.kube_config import KubeConfigLoader, KubeConfigMerger

from kpo_platform.errors import ClusterError, Unreachable
from kpo_platform.kube.child_processes import kill_processes
from kpo_platform.kube.deadline import Deadline, run_with_timeout

_LEAST_SECONDS = 1.0  # a kubeconfig without a program is read in less
_MARK = "KPO_PLATFORM_SIGN_IN"

_Renew = Callable[[client.Configuration], None]


def load_with_exec_plugin(deadline: Deadline, file: str, context: str | None, settings: client.Configuration) -> None:
    """Read a kubeconfig, and let its program sign in; one that is not done in time is ended.

    Args:
        deadline: when it has to be done, now or when what it gives has ended and it is asked again.
        file: the kubeconfig.
        context: the context of the file; without one its current one.
        settings: what is filled in.

    Raises:
        ClusterError: the program failed, or was not done in time.
        Exception: whatever the library raises of a file that it cannot read.
    """
    program = _Program(deadline, file, context)
    with _marked() as mark:
        try:
            said = program.run(lambda: config.load_kube_config(file, context, settings, persist_config=False))
        except Unreachable:
            kill_processes(mark)
            raise
    if said and not settings.api_key and not settings.cert_file:
        raise program.failed(said)
    if again := settings.refresh_api_key_hook:
        settings.refresh_api_key_hook = _renewing(program, again)


def _renewing(program: _Program, again: _Renew) -> _Renew:
    def renew(current: client.Configuration) -> None:
        if said := program.run(lambda: again(current)):
            raise program.failed(said)
        current.refresh_api_key_hook = renew  # the library has put its own back

    return renew


@dataclass(frozen=True)
class _Program:
    """What signs in by a context of a kubeconfig, until a deadline."""

    deadline: Deadline
    file: str
    context: str | None

    def run(self, work: Callable[[], None]) -> str:
        """Let the library run it; gives what the library says went wrong."""
        seconds = max(self.deadline.remaining_seconds(), _LEAST_SECONDS)
        said: list[str] = []

        def listen() -> None:
            with _heard(said):
                work()

        try:
            run_with_timeout(seconds, listen)
        except TimeoutError:
            raise Unreachable(
                f"No way to a cluster by {self.file}: {self} was not done within {seconds:.0f} s; "
                "sign in by hand first, or give more with --timeout."
            ) from None
        return " ".join(" ".join(said).split()).removeprefix("exec: ").rstrip(".")[:300]

    def failed(self, said: str) -> ClusterError:
        """The error for what the library said."""
        fix = "install it, or name another context with --context" if "No such file" in said else "sign in again"
        return ClusterError(f"No way to a cluster by {self.file}: {self} failed ({said}); {fix}.")

    def __str__(self) -> str:
        return f"its sign-in program {self._command()}".rstrip()

    def _command(self) -> str:
        with suppress(Exception):  # as it is asked for in the text of an error alone
            merged = KubeConfigMerger(self.file).config
            chosen = KubeConfigLoader(merged, active_context=self.context).current_context["context"]["user"]
            return str(merged["users"].get_with_name(chosen)["user"]["exec"]["command"])
        return ""


@contextmanager
def _heard(said: list[str]) -> Iterator[None]:
    """Take what the library says through the root logger of this thread: it goes on without a sign-in and a word."""
    ours = threading.get_ident()

    def take(record: logging.LogRecord) -> bool:
        if record.thread == ours:
            said.append(record.getMessage())
        return record.thread != ours

    nowhere = logging.NullHandler()  # without any, the first line would set up a handler for all later ones
    logging.root.addHandler(nowhere)
    logging.root.addFilter(take)
    try:
        yield
    finally:
        logging.root.removeFilter(take)
        logging.root.removeHandler(nowhere)


@contextmanager
def _marked() -> Iterator[str]:
    """For a while, let programs that are started be known by their environment."""
    mark = secrets.token_hex(8)
    os.environ[_MARK] = mark
    try:
        yield f"{_MARK}={mark}"
    finally:
        os.environ.pop(_MARK, None)
