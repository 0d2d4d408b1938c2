"""The release with each executor."""

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

LOG_CLAIM: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "executor-logs", "namespace": NAMESPACE},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "100Mi"}}},
}
"""The volume claim of KubernetesExecutor's task logs; all pods share it, because the cluster has one node."""

EXECUTOR_VALUES: dict[str, dict[str, Any]] = {
    "LocalExecutor": {},
    "CeleryExecutor": {"executor": "CeleryExecutor", "config": {"celery": {"worker_concurrency": 2}}},
    "KubernetesExecutor": {
        "executor": "KubernetesExecutor",
        "logs": {"persistence": {"existingClaim": "executor-logs"}},
    },
}

WORKER_SELECTOR = "kubernetes_executor=True"
"""Label selector of KubernetesExecutor's pods."""


@contextmanager
def release_with_executor(
    stack: Stack, executor: str, file: Path, extra_values: dict[str, Any] | None = None
) -> Iterator[None]:
    """Upgrade the release to an executor during the block, and back after it.

    Args:
        stack: the cluster.
        executor: name of the executor.
        file: path for the values file.
        extra_values: values in addition to those of the executor.
    """
    file.write_text(yaml.safe_dump({**EXECUTOR_VALUES[executor], **(extra_values or {})}))
    try:
        stack.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(LOG_CLAIM))
        install_release(Steps(), stack, file)
        yield
    finally:
        install_release(Steps(), stack)
        # Pods that the executor did not delete in time.
        stack.kubectl("delete", "pods", "-n", NAMESPACE, "-l", WORKER_SELECTOR, timeout_s=120)
        stack.kubectl("delete", "pvc", LOG_CLAIM["metadata"]["name"], "-n", NAMESPACE, timeout_s=120)
