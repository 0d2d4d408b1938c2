"""The release with each executor, for the tests of more than one group."""

from __future__ import annotations

from typing import Any

from road.stack import NAMESPACE

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
