"""The release with each executor, for the tests of more than one group."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from common.steps import Steps
from stack.install import install_release
from stack.release import NAMESPACE, Stack

CLAIM: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "executor-logs", "namespace": NAMESPACE},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "100Mi"}}},
}
"""Where KubernetesExecutor's pods keep logs; the cluster has one node, so all pods may share it."""

VALUES: dict[str, dict[str, Any]] = {
    "LocalExecutor": {},
    "CeleryExecutor": {"executor": "CeleryExecutor", "config": {"celery": {"worker_concurrency": 2}}},
    "KubernetesExecutor": {
        "executor": "KubernetesExecutor",
        "logs": {"persistence": {"existingClaim": "executor-logs"}},
    },
}

WORKERS = "kubernetes_executor=True"
"""The label of KubernetesExecutor's pods."""


@contextmanager
def release_with(stack: Stack, executor: str, file: Path, more: dict[str, Any] | None = None) -> Iterator[None]:
    """The release with an executor; afterwards it has its own again.

    Args:
        stack: the cluster.
        executor: its name.
        file: where to write the values.
        more: values besides those of the executor.
    """
    file.write_text(yaml.safe_dump({**VALUES[executor], **(more or {})}))
    try:
        stack.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(CLAIM))
        install_release(Steps(), stack, file)
        yield
    finally:
        install_release(Steps(), stack)
        # Those that the executor had no time to remove.
        stack.kubectl("delete", "pods", "-n", NAMESPACE, "-l", WORKERS, timeout_s=120)
        stack.kubectl("delete", "pvc", CLAIM["metadata"]["name"], "-n", NAMESPACE, timeout_s=120)
