"""The sign-in program that a kubeconfig may name: the client library runs it, and would wait for it for ever."""

from __future__ import annotations

import os
import secrets
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kubernetes import client

from kpo_platform.errors import Unreachable
from kpo_platform.kube.deadline import Deadline
from kpo_platform.kube.within import within

_LEAST_SECONDS = 1.0  # a kubeconfig without a program is read in less
_MARK = "KPO_PLATFORM_SIGN_IN"


def signing_in(deadline: Deadline, file: str, work: Callable[[], None]) -> None:
    """Let the library sign in; a program that is not done in time is ended.

    Args:
        deadline: when it has to be done.
        file: the kubeconfig.
        work: lets the library read it.

    Raises:
        Unreachable: it was not done in time.
        Exception: whatever the library raises.
    """
    with _marked() as mark:
        try:
            _bounded(deadline, file, work)
        except Unreachable:
            _end(mark)
            raise


def keep_to(deadline: Deadline, file: str, settings: client.Configuration) -> None:
    """Let the library keep to the deadline as well when it signs in again, because what it was given has ended.

    Args:
        deadline: when all calls have to be done.
        file: the kubeconfig.
        settings: the settings that the library made of it.
    """
    again = settings.refresh_api_key_hook
    if again is None:
        return

    def bounded(current: client.Configuration) -> None:
        _bounded(deadline, file, lambda: again(current))
        current.refresh_api_key_hook = bounded  # the library has put its own back

    settings.refresh_api_key_hook = bounded


def _bounded(deadline: Deadline, file: str, work: Callable[[], None]) -> None:
    seconds = max(deadline.left(), _LEAST_SECONDS)
    try:
        within(seconds, work)
    except TimeoutError:
        raise Unreachable(
            f"No way to a cluster by {file}: its sign-in program was not done within {seconds:.0f} s; "
            "sign in by hand first, or give more with --timeout."
        ) from None


@contextmanager
def _marked() -> Iterator[str]:
    """For a while, let programs that are started be known by their environment."""
    mark = secrets.token_hex(8)
    os.environ[_MARK] = mark
    try:
        yield f"{_MARK}={mark}"
    finally:
        os.environ.pop(_MARK, None)


def _end(mark: str) -> None:
    """End what has this in its environment; where there is no /proc it is left to itself."""
    for file in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):  # it has ended, or belongs to another user
            if mark.encode() in file.read_bytes().split(b"\0"):
                os.kill(int(file.parent.name), signal.SIGKILL)
