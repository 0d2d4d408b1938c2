"""How work reaches Ansible's modules: over a Unix socket, from memory to memory.

Whatever Ansible is given as variables or arguments it may write to disk, show in the process list or repeat in an
error. So its modules get only the path of a socket, in a directory that no other user can enter, and fetch the rest.
"""

from __future__ import annotations

import os
import socket
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from kpo_platform.bootstrap.ansible.payload import TaskPayload
from kpo_platform.errors import BootstrapError

_SECONDS = 10.0
# The kernel's limit is 108 bytes on Linux and 104 on macOS; ours begins with platformctl- and 8 characters more, and
# ansible-core 2.21 has its worker's socket another 32 deeper ("Local RPC server did not start" where that is too long).
_MAX_PATH_BYTES = 48


@contextmanager
def private_directory() -> Iterator[str]:
    """A new folder that nobody else can enter, whose path is short enough for sockets; it goes with what is in it.

    It lies in the folder for temporary files; where the path of that is too long, in the user's folder for sockets
    (``XDG_RUNTIME_DIR``), or in ``/tmp``.

    Raises:
        BootstrapError: there is no such place.
    """
    places = (tempfile.gettempdir(), os.environ.get("XDG_RUNTIME_DIR", ""), "/tmp")
    for place in places:
        if place and len(os.fsencode(place)) <= _MAX_PATH_BYTES and os.access(place, os.W_OK | os.X_OK):
            with tempfile.TemporaryDirectory(prefix="platformctl-", dir=place) as made:
                yield made
            return
    raise BootstrapError(
        f"The path {places[0]} is too long for sockets in it, and /tmp cannot be written: "
        "set TMPDIR to a shorter directory."
    )


@contextmanager
def serve_payloads(path: Path, parts: Mapping[str, TaskPayload]) -> Iterator[None]:
    """Give each caller the part of the work that it names, until the context ends."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen()
        threading.Thread(target=_serve_requests, args=(listener, parts), daemon=True).start()
        try:
            yield
        finally:
            # Closing alone would not wake the thread that waits in accept().
            listener.shutdown(socket.SHUT_RDWR)


def fetch_payload(path: str, part: str) -> TaskPayload:
    """Get a part of the work from the process that serves it.

    Raises:
        BootstrapError: nobody answers there.
    """
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.settimeout(_SECONDS)
            line.connect(path)
            line.sendall(part.encode() + b"\n")
            with line.makefile("rb") as answer:
                return TaskPayload.model_validate_json(answer.read())
    except (OSError, ValueError) as error:
        raise BootstrapError(
            f"Nothing to do came from {path}: this module works only inside `platformctl bootstrap`."
        ) from error


def _serve_requests(listener: socket.socket, parts: Mapping[str, TaskPayload]) -> None:
    while True:
        try:
            line, _ = listener.accept()
        except OSError:
            return
        with line:
            _serve_request(line, parts)


def _serve_request(line: socket.socket, parts: Mapping[str, TaskPayload]) -> None:
    line.settimeout(_SECONDS)
    try:
        with line.makefile("rb") as question:
            part = question.readline(100).decode().strip()
        line.sendall(parts[part].model_dump_json().encode())
    except (OSError, ValueError, KeyError):
        return  # the caller went away, or is none of ours
