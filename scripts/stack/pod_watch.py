"""See the pods of tasks while they run: a finished task's pod is deleted, so look while it lives."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from common.paths import cache_path
from stack.release import Stack

WATCH_LOG = cache_path("logs", "watch.log")
"""What kubectl said when it could not watch."""


class ObservedPods:
    """The last state of every pod that was seen, by uid."""

    def __init__(self) -> None:
        self._by_uid: dict[str, dict[str, Any]] = {}

    def add(self, pod: dict[str, Any]) -> None:
        """Remember the state of a pod."""
        self._by_uid[pod["metadata"]["uid"]] = pod

    def all(self) -> list[dict[str, Any]]:
        """Give every pod, in its last state."""
        return list(self._by_uid.values())

    def named(self, name: str) -> list[dict[str, Any]]:
        """Give the pods that had a name, one per uid."""
        return [pod for pod in self._by_uid.values() if pod["metadata"]["name"] == name]

    def labelled(self, **labels: str) -> list[dict[str, Any]]:
        """Give the pods with these labels, one per uid."""
        wanted = labels.items()
        return [pod for pod in self._by_uid.values() if wanted <= pod["metadata"].get("labels", {}).items()]


@contextmanager
def watch_pods(stack: Stack, labels: str = "kubernetes_pod_operator=True") -> Iterator[ObservedPods]:
    """Watch pods, in whatever namespace, while the block runs.

    Args:
        stack: the cluster.
        labels: which pods, as kubectl selects them; those that Airflow's tasks start by default.
    """
    seen = ObservedPods()
    command: list[str | Path] = [stack.programs / "kubectl", "get", "pods", "-A", "-l", labels]
    command += ["--watch", "-o", "json"]
    WATCH_LOG.parent.mkdir(parents=True, exist_ok=True)
    with (
        WATCH_LOG.open("w") as log,
        subprocess.Popen(
            command, env={**os.environ, **stack.variables}, stdout=subprocess.PIPE, stderr=log, text=True
        ) as process,
    ):
        assert process.stdout
        reader = threading.Thread(target=_read, args=(process.stdout, seen), daemon=True)
        reader.start()
        try:
            yield seen
        finally:
            process.terminate()
            reader.join(10)


def _read(stream: IO[str], seen: ObservedPods) -> None:
    """Read JSON objects that kubectl writes one after the other, each over many lines."""
    lines: list[str] = []
    for line in stream:
        lines.append(line)
        if line == "}\n":
            seen.add(json.loads("".join(lines)))
            lines.clear()
