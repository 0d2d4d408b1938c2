"""Pass payloads to Ansible's modules over a Unix socket.

A payload holds secrets. Ansible may write variables and arguments to disk, show them in the process list or repeat
them in an error. So its modules get only the path of a socket, in a directory that no other user can enter, and fetch
the payload from the socket.
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

_TIMEOUT_SECONDS = 10.0
# The kernel limits a socket's path to 108 bytes on Linux and 104 on macOS. The directory adds platformctl- and 8
# characters. ansible-core 2.21 adds 32 for its worker's socket ("Local RPC server did not start" if it is too long).
_MAX_PATH_BYTES = 48


@contextmanager
def create_private_directory() -> Iterator[str]:
    """Create a temporary directory that only this user can enter.

    Its path is short enough for sockets. It is created in the directory for temporary files. If the path of that one is
    too long, it is created in the user's runtime directory (``XDG_RUNTIME_DIR``) or in ``/tmp``.

    Raises:
        BootstrapError: none of these directories can be used.
    """
    parents = (tempfile.gettempdir(), os.environ.get("XDG_RUNTIME_DIR", ""), "/tmp")
    for parent in parents:
        if parent and len(os.fsencode(parent)) <= _MAX_PATH_BYTES and os.access(parent, os.W_OK | os.X_OK):
            with tempfile.TemporaryDirectory(prefix="platformctl-", dir=parent) as directory:
                yield directory
            return
    raise BootstrapError(
        f"Cannot create a socket: the path {parents[0]} is too long, and /tmp cannot be written. "
        "Set TMPDIR to a shorter path."
    )


@contextmanager
def serve_payloads(path: Path, payloads: Mapping[str, TaskPayload]) -> Iterator[None]:
    """Serve the payload of each task on a socket until the context ends.

    Args:
        path: the path of the socket.
        payloads: the payloads by task.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen()
        threading.Thread(target=_serve_requests, args=(listener, payloads), daemon=True).start()
        try:
            yield
        finally:
            # Closing the socket would not wake the thread that waits in accept().
            listener.shutdown(socket.SHUT_RDWR)


def fetch_payload(path: str, task: str) -> TaskPayload:
    """Fetch the payload of a task from the process that serves it.

    Args:
        path: the path of the socket.
        task: the task, such as ``objects``.

    Raises:
        BootstrapError: no process serves it.
    """
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(_TIMEOUT_SECONDS)
            connection.connect(path)
            connection.sendall(task.encode() + b"\n")
            with connection.makefile("rb") as answer:
                return TaskPayload.model_validate_json(answer.read())
    except (OSError, ValueError) as error:
        raise BootstrapError(
            f"Cannot fetch the task's payload from socket {path}: no run of platformctl serves it. "
            "Run `platformctl bootstrap`, or the playbook without kpo_socket."
        ) from error


def _serve_requests(listener: socket.socket, payloads: Mapping[str, TaskPayload]) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            _serve_request(connection, payloads)


def _serve_request(connection: socket.socket, payloads: Mapping[str, TaskPayload]) -> None:
    connection.settimeout(_TIMEOUT_SECONDS)
    try:
        with connection.makefile("rb") as request:
            task = request.readline(100).decode().strip()
        connection.sendall(payloads[task].model_dump_json().encode())
    except (OSError, ValueError, KeyError):
        return  # the client disconnected, or asked for an unknown task
