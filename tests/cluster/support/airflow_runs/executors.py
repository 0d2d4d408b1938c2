"""The release with each executor."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from common.steps import Steps
from stack.install import install_release
from stack.release import NAMESPACE, Stack
from stack.shared_logs import VALUES as SHARED_LOGS
from stack.shared_logs import shared_log_claim

EXECUTOR_VALUES: dict[str, dict[str, Any]] = {
    "LocalExecutor": {},
    "CeleryExecutor": {"executor": "CeleryExecutor", "config": {"celery": {"worker_concurrency": 2}}},
    "KubernetesExecutor": {"executor": "KubernetesExecutor", **SHARED_LOGS},
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
    with shared_log_claim(stack):
        try:
            install_release(Steps(), stack, file)
            yield
        finally:
            install_release(Steps(), stack)
            # Pods that the executor did not delete in time.
            stack.kubectl("delete", "pods", "-n", NAMESPACE, "-l", WORKER_SELECTOR, timeout_s=120)
