"""Objects of a release, as the API server returns them, for tests of doctor."""

from __future__ import annotations

from typing import Any

CONTAINER: dict[str, Any] = {
    "name": "scheduler",
    "env": [
        {"name": "STAGE", "value": "test"},
        {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "fernet", "key": "fernet-key"}}},
        {"name": "EXTRA", "valueFrom": {"secretKeyRef": {"name": "extra", "key": "k", "optional": True}}},
    ],
    "envFrom": [{"secretRef": {"name": "whole"}}, {"secretRef": {"name": "maybe", "optional": True}}],
}
LABELS = {"app.kubernetes.io/component": "scheduler", "app.kubernetes.io/instance": "airflow"}
SCHEDULER: dict[str, Any] = {
    "kind": "StatefulSet",
    "metadata": {"name": "airflow-scheduler", "generation": 2, "labels": LABELS},
    "spec": {
        "replicas": 1,
        "selector": {"matchLabels": {"component": "scheduler"}},
        "template": {"spec": {"containers": [{**CONTAINER, "envFrom": []}]}},
    },
    "status": {"readyReplicas": 1, "updatedReplicas": 1, "observedGeneration": 2},
}
JOB: dict[str, Any] = {
    "kind": "Job",
    "metadata": {"name": "airflow-migrate", "uid": "job", "labels": {}},
    "spec": {"template": {"spec": {"containers": [{"name": "migrate"}]}}},
    "status": {"conditions": [{"type": "Complete", "status": "True"}]},
}
FAILED_CLEANUP: dict[str, Any] = {
    **JOB,
    "metadata": {"name": "airflow-cleanup", "uid": "cleanup", "labels": {}, "ownerReferences": [{"kind": "CronJob"}]},
    "status": {"conditions": [{"type": "Failed", "status": "True", "message": "too often"}]},
}
