"""A watch of task pods, which are deleted when their tasks have finished."""

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
"""The log of kubectl's errors."""


class ObservedPods:
    """The last state of every observed pod, by uid."""

    def __init__(self) -> None:
        self._by_uid: dict[str, dict[str, Any]] = {}

    def add(self, pod: dict[str, Any]) -> None:
        """Record the state of a pod."""
        self._by_uid[pod["metadata"]["uid"]] = pod

    def all(self) -> list[dict[str, Any]]:
        """Return the last state of every pod."""
        return list(self._by_uid.values())

    def with_name(self, name: str) -> list[dict[str, Any]]:
        """Return the pods with a name, one per uid."""
        return [pod for pod in self._by_uid.values() if pod["metadata"]["name"] == name]

    def with_labels(self, **labels: str) -> list[dict[str, Any]]:
        """Return the pods with these labels, one per uid."""
        expected = labels.items()
        return [pod for pod in self._by_uid.values() if expected <= pod["metadata"].get("labels", {}).items()]


@contextmanager
def watch_pods(
    stack: Stack, labels: str = "kubernetes_pod_operator=True", observed: ObservedPods | None = None
) -> Iterator[ObservedPods]:
    """Watch pods in all namespaces during the block.

    Args:
        stack: the cluster.
        labels: label selector; by default the pods of Airflow's tasks.
        observed: receives the pods.
    """
    observed = ObservedPods() if observed is None else observed
    command: list[str | Path] = [stack.programs / "kubectl", "get", "pods", "-A", "-l", labels]
    command += ["--watch", "-o", "json"]
    WATCH_LOG.parent.mkdir(parents=True, exist_ok=True)
    with (
        WATCH_LOG.open("w") as log,
        subprocess.Popen(
            command, env={**os.environ, **stack.environment}, stdout=subprocess.PIPE, stderr=log, text=True
        ) as process,
    ):
        assert process.stdout
        reader = threading.Thread(target=_read, args=(process.stdout, observed), daemon=True)
        reader.start()
        try:
            yield observed
        finally:
            process.terminate()
            reader.join(10)


def _read(stream: IO[str], observed: ObservedPods) -> None:
    """Read the JSON objects that kubectl writes in sequence, each over many lines."""
    lines: list[str] = []
    for line in stream:
        lines.append(line)
        if line == "}\n":
            observed.add(json.loads("".join(lines)))
            lines.clear()
