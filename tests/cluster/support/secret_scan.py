"""A scan for a test password in every encoding in which it could have been stored."""

from __future__ import annotations

import base64
import json
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, quote_plus

from common.command import CommandError
from local_cluster.cluster_paths import default_paths
from stack.release import NAMESPACE, Stack

PASSWORD = "canary/+&=%3 7f1c9a52d8e64b0b"
"""URLs and JSON encode some of its characters; its random end rules out a match by chance."""

_PAUSE_S = 0.02
_MAX_BYTES = 64 << 20
_LOGS = "find /opt/airflow/logs -type f -exec cat {} +"


def base64_encodings(text: bytes) -> list[bytes]:
    """Return the base64 of a text at each of three offsets, in both alphabets."""
    encodings = [base64.b64encode(b"." * skip + text).rstrip(b"=")[4 if skip else 0 : -1] for skip in range(3)]
    return [*encodings, *(encoding.translate(bytes.maketrans(b"+/", b"-_")) for encoding in encodings)]


def go_json_encodings(text: str) -> list[bytes]:
    """Return a text as JSON of Go programs, and as a string within such JSON."""
    once = json.dumps(text)[1:-1]
    for character in "&<>":
        once = once.replace(character, f"\\u{ord(character):04x}")
    return [once.encode(), json.dumps(once)[1:-1].encode()]


def password_encodings() -> dict[str, list[bytes]]:
    """Return the password's encodings by name.

    Base64 of base64 occurs in a Secret.
    """
    once = base64_encodings(PASSWORD.encode())
    return {
        "plain": [PASSWORD.encode()],
        "in a URL": [quote(PASSWORD, safe="").encode(), quote_plus(PASSWORD).encode(), quote(PASSWORD).encode()],
        "in Go's JSON": go_json_encodings(PASSWORD),
        "in base64": once,
        "in base64 of base64": [encoding for text in once for encoding in base64_encodings(text)],
    }


ALL_ENCODINGS = [encoding for encodings in password_encodings().values() for encoding in encodings]


def contains_password(text: bytes) -> bool:
    """Return whether a text contains the password in any encoding."""
    return any(encoding in text for encoding in ALL_ENCODINGS)


@dataclass
class Scanner:
    """Repeated scans while a program runs.

    Attributes:
        folder: the only folder for temporary files.
        findings: names of files and processes that contained the password.
        scans: number of complete scans.
        observed_files: names of files that existed at any time.
    """

    folder: Path
    findings: set[str] = field(default_factory=set)
    scans: int = 0
    observed_files: set[str] = field(default_factory=set)

    def scan(self) -> None:
        """Scan all processes and all temporary files once."""
        # Not rglob, which fails when a folder disappears during the walk.
        paths = (Path(folder, name) for folder, _, names in os.walk(self.folder) for name in names)
        files = [path for path in paths if path.is_file()]  # no sockets
        self.observed_files |= {file.name for file in files}
        processes = (path for name in ("cmdline", "environ") for path in Path("/proc").glob(f"[0-9]*/{name}"))
        self.findings |= {_name(file) for file in (*files, *processes) if contains_password(read_tail(file))}
        self.scans += 1


@contextmanager
def scan_during(folder: Path) -> Iterator[Scanner]:
    """Scan repeatedly during the block, and once after it."""
    scanner, stopped = Scanner(folder), threading.Event()

    def run() -> None:
        while not stopped.is_set():
            scanner.scan()
            time.sleep(_PAUSE_S)

    with ThreadPoolExecutor(1) as pool:
        scanning = pool.submit(run)
        try:
            yield scanner
        finally:
            stopped.set()
        scanning.result()  # raises its exception: an incomplete scan fails the test
    scanner.scan()


def find_in_objects(stack: Stack) -> set[str]:
    """Return the names of all objects of the cluster that contain the password."""
    words = ("api-resources", "--verbs=list", "-o", "name")
    kinds = [kind for kind in stack.kubectl(*words).split() if not kind.startswith("componentstatus")]
    items = stack.get(",".join(kinds), "-A")["items"]
    names = (
        (f"{item['kind']} {item['metadata'].get('namespace', '')}/{item['metadata']['name']}", item) for item in items
    )
    return {name for name, item in names if contains_password(json.dumps(item).encode())}


def find_in_logs(stack: Stack) -> set[str]:
    """Return the logs of pods, tasks, components and audit that contain the password."""
    findings = {name for name, text in _pod_logs(stack) if contains_password(text.encode())}
    tasks = stack.kubectl("exec", "-n", NAMESPACE, "airflow-scheduler-0", "-c", "scheduler", "--", "sh", "-c", _LOGS)
    findings |= {"the tasks' logs"} if contains_password(tasks.encode()) else set()
    return findings | {file.name for file in default_paths().logs.glob("*.log") if contains_password(read_tail(file))}


def _pod_logs(stack: Stack) -> Iterator[tuple[str, str]]:
    for pod in stack.get("pods", "-A")["items"]:
        name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
        if pod["status"].get("phase") in ("Running", "Succeeded", "Failed"):
            words = ("logs", name, "-n", namespace, "--all-containers", "--ignore-errors", "--tail=20000")
            try:
                yield f"log of {namespace}/{name}", stack.kubectl(*words)
            except CommandError as error:
                if f'pods "{name}" not found' not in error.output:
                    raise  # otherwise the pod was deleted in the meantime


def read_tail(file: Path) -> bytes:
    """Return the content of a file, or the end of a long one."""
    try:
        with file.open("rb") as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - _MAX_BYTES))
            return stream.read(_MAX_BYTES)
    except OSError:
        return b""  # the file or its process has disappeared


def _name(file: Path) -> str:
    return f"{file.name} of a process" if file.parts[1] == "proc" else file.name
