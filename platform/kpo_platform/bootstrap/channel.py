"""How work reaches Ansible's modules: over a Unix socket, from memory to memory.

Whatever Ansible is given as variables or arguments it may write to disk, show in the process list or repeat in an
error. So its modules get only the path of a socket, in a directory that no other user can enter, and fetch the
rest. The line stays open while a module works: ansible-core (seen in 2.19) puts its workers into sessions of their
own, where the signal that ends ansible-playbook does not reach them, so a module ends when its line is cut.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from kpo_platform.bootstrap.work import Work
from kpo_platform.errors import BootstrapError

_SECONDS = 10.0
_LONGEST_PATH = 100  # the kernel's limit is 108 bytes on Linux and 104 on macOS


@contextmanager
def serve(path: Path, parts: Mapping[str, Work]) -> Iterator[None]:
    """Give each caller the part of the work that it names, and end all callers when the context ends.

    Raises:
        BootstrapError: the path is too long for a socket.
    """
    if len(str(path)) > _LONGEST_PATH:
        raise BootstrapError(f"The path {path} is too long for a socket: set TMPDIR to a shorter directory.")
    callers: list[socket.socket] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen()
        answering = threading.Thread(target=_answer_all, args=(listener, parts, callers), daemon=True)
        answering.start()
        try:
            yield
        finally:
            # Closing alone would not wake the thread that waits in accept().
            listener.shutdown(socket.SHUT_RDWR)
            answering.join(_SECONDS)
            for caller in callers:
                _hang_up(caller)


def fetch(path: str, part: str) -> Work:
    """Get a part of the work from the process that serves it; this process ends when that one hangs up.

    Raises:
        BootstrapError: nobody answers there.
    """
    line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        line.settimeout(_SECONDS)
        line.connect(path)
        line.sendall(part.encode() + b"\n")
        with line.makefile("rb") as answer:
            work = Work.model_validate_json(answer.readline())
    except (OSError, ValueError) as error:
        line.close()
        raise BootstrapError(
            f"Nothing to do came from {path}: this module works only inside `platformctl bootstrap`."
        ) from error
    threading.Thread(target=_end_with, args=(line,), daemon=True).start()
    return work


def _end_with(line: socket.socket) -> None:
    line.settimeout(None)
    line.recv(1)
    os._exit(1)  # at once, whatever the main thread waits for; a write cut short is found by the next run


def _answer_all(listener: socket.socket, parts: Mapping[str, Work], callers: list[socket.socket]) -> None:
    while True:
        try:
            caller, _ = listener.accept()
        except OSError:
            return
        callers.append(caller)
        caller.settimeout(_SECONDS)
        try:
            with caller.makefile("rb") as question:
                part = question.readline(100).decode().strip()
            caller.sendall(parts[part].model_dump_json().encode() + b"\n")
        except (OSError, ValueError, KeyError):
            caller.close()  # it went away, or is none of ours


def _hang_up(caller: socket.socket) -> None:
    """Cut a caller's line and wait until its process is gone."""
    try:
        caller.shutdown(socket.SHUT_WR)
        caller.recv(1)
    except OSError:
        pass  # it is gone already
    finally:
        caller.close()
