"""A password that sings wherever it lands: it is looked for in every form in which it may have been written down."""

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
"""It changes where it is put into a URL or into JSON, and ends in what is found in pieces of it too."""

_PAUSE = 0.02
_LONGEST = 64 << 20
_LOGS = "find /opt/airflow/logs -type f -exec cat {} +"


def in_base64(text: bytes) -> list[bytes]:
    """What a text is in base64, at each of the three places where it may begin in a longer one, in both alphabets."""
    whole = [base64.b64encode(b"." * skip + text).rstrip(b"=")[4 if skip else 0 : -1] for skip in range(3)]
    return [*whole, *(each.translate(bytes.maketrans(b"+/", b"-_")) for each in whole)]


def in_json_of_go(text: str) -> list[bytes]:
    """What a text is in JSON that a program in Go wrote, such as the audit log, and in a string inside of such JSON."""
    once = json.dumps(text)[1:-1]
    for each in "&<>":
        once = once.replace(each, f"\\u{ord(each):04x}")
    return [once.encode(), json.dumps(once)[1:-1].encode()]


def forms() -> dict[str, list[bytes]]:
    """The password as it is, in a URL, in JSON of Go, in base64, and in base64 of base64, as a Secret has it."""
    once = in_base64(PASSWORD.encode())
    return {
        "as it is": [PASSWORD.encode()],
        "in a URL": [quote(PASSWORD, safe="").encode(), quote_plus(PASSWORD).encode(), quote(PASSWORD).encode()],
        "in JSON of Go": in_json_of_go(PASSWORD),
        "in base64": once,
        "in base64 of base64": [form for each in once for form in in_base64(each)],
    }


EVERY = [form for each in forms().values() for form in each]


def sings(text: bytes) -> bool:
    """Whether the password is in there in any form."""
    return any(form in text for form in EVERY)


@dataclass
class Watch:
    """What is looked at again and again while a program runs.

    Attributes:
        folder: the only one for temporary files.
        found: where the password was.
        looks: how often everything was looked at.
        seen: files below the folder that were there at some time.
    """

    folder: Path
    found: set[str] = field(default_factory=set)
    looks: int = 0
    seen: set[str] = field(default_factory=set)

    def look(self) -> None:
        """Look once at all processes, and at all temporary files."""
        # Not by rglob, which trips over a folder that goes while it looks.
        every = (Path(folder, name) for folder, _, names in os.walk(self.folder) for name in names)
        files = [file for file in every if file.is_file()]  # no sockets
        self.seen |= {file.name for file in files}
        processes = (each for name in ("cmdline", "environ") for each in Path("/proc").glob(f"[0-9]*/{name}"))
        self.found |= {_name(file) for file in (*files, *processes) if sings(content(file))}
        self.looks += 1


@contextmanager
def watch_folder(folder: Path) -> Iterator[Watch]:
    """Look while the block lasts, and once more after it."""
    watch, over = Watch(folder), threading.Event()

    def run() -> None:
        while not over.is_set():
            watch.look()
            time.sleep(_PAUSE)

    with ThreadPoolExecutor(1) as pool:
        looking = pool.submit(run)
        try:
            yield watch
        finally:
            over.set()
        looking.result()  # raises what it raised: it looked to the end, or the test fails
    watch.look()


def in_cluster(stack: Stack) -> set[str]:
    """The objects of the cluster, annotations and all, in which the password is."""
    words = ("api-resources", "--verbs=list", "-o", "name")
    kinds = [kind for kind in stack.kubectl(*words).split() if not kind.startswith("componentstatus")]
    items = stack.get(",".join(kinds), "-A")["items"]
    named = (
        (f"{each['kind']} {each['metadata'].get('namespace', '')}/{each['metadata']['name']}", each) for each in items
    )
    return {name for name, each in named if sings(json.dumps(each).encode())}


def in_logs(stack: Stack) -> set[str]:
    """Whichever have the password of the logs of all pods, the tasks', the cluster's own parts', and its audit log."""
    found = {name for name, text in _pod_logs(stack) if sings(text.encode())}
    tasks = stack.kubectl("exec", "-n", NAMESPACE, "airflow-scheduler-0", "-c", "scheduler", "--", "sh", "-c", _LOGS)
    found |= {"the tasks' logs"} if sings(tasks.encode()) else set()
    return found | {each.name for each in default_paths().logs.glob("*.log") if sings(content(each))}


def _pod_logs(stack: Stack) -> Iterator[tuple[str, str]]:
    for pod in stack.get("pods", "-A")["items"]:
        name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
        if pod["status"].get("phase") in ("Running", "Succeeded", "Failed"):
            words = ("logs", name, "-n", namespace, "--all-containers", "--ignore-errors", "--tail=20000")
            try:
                yield f"log of {namespace}/{name}", stack.kubectl(*words)
            except CommandError as error:
                if f'pods "{name}" not found' not in error.output:
                    raise  # else it has gone since it was listed, and its log with it


def content(file: Path) -> bytes:
    """What is in a file; of a long one the end, where the newest lines of a log are."""
    try:
        with file.open("rb") as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - _LONGEST))
            return stream.read(_LONGEST)
    except OSError:
        return b""  # it has gone, or belongs to a process that has


def _name(file: Path) -> str:
    return f"{file.name} of a process" if file.parts[1] == "proc" else file.name
