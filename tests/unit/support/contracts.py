"""Contracts for tests without a cluster; the chart's tests check that the rendered contract has the same model."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from common.paths import REPOSITORY
from kpo_platform.contract import Contract, parse
from project import VERSION

RBAC = REPOSITORY / "rbac"

Build = Callable[..., dict[str, Any]]
"""Builds the pod of a task of team alpha, as JSON, from the task's arguments."""

TEAM: dict[str, Any] = {
    "namespace": "team-alpha",
    "owners": [],
    "serviceAccount": {"name": "team-pod", "mountToken": False, "annotations": {}},
    "labels": {"cost-center": "cc-1"},
    "annotations": {},
    "podSecurity": "restricted",
    "quota": {},
    "limits": {"default": {}, "defaultRequest": {}, "max": {}},
    "sizes": {
        "small": {"cpu": "100m", "memory": "128Mi", "gpu": 0, "ephemeralStorage": ""},
        "large": {"cpu": "1", "memory": "1Gi", "gpu": 0, "ephemeralStorage": ""},
    },
    "defaultSize": "small",
    "images": {"registryPrefix": "", "allow": [], "pin": "tag"},
    "registry": {"host": "", "pullSecret": "regcred"},
    "volumes": [
        {
            "name": "data",
            "size": "1Gi",
            "accessMode": "ReadWriteOnce",
            "storageClass": None,
            "mountPath": "/data",
            "readOnly": False,
        }
    ],
    "template": "default",
    "sidecars": [],
    "scheduling": {"nodeSelector": {}, "tolerations": [], "affinity": {}, "priorityClassName": ""},
    "env": [{"name": "STAGE", "value": "test"}],
    "envFrom": [],
    "network": {"egress": [], "ingress": []},
    "connection": {"id": "k8s_default", "mode": "inCluster", "via": "api"},
    "dags": {"repo": "", "ref": "main", "subdir": "", "credentialsSecret": "", "refreshInterval": 30},
    "rbac": {"exec": True, "extraRules": []},
    "cleanup": {"maxAge": 0},
    "policy": {
        "onFinish": "delete_pod",
        "onFailure": "",
        "deferrable": True,
        "deferAfter": 0,
        "finish": "triggerer",
        "orphans": "report",
        "getLogs": True,
        "xcom": "message",
        "startupTimeout": 300,
        "roomTimeout": 86400,
        "apiServerTimeout": 3600,
        "missingObjectTimeout": 60,
        "maxRuntime": 0,
    },
    "pool": {"name": "team-alpha", "slots": 128},
    "role": "team-alpha",
}

CONTRACT: dict[str, Any] = {
    "version": 1,
    "chartVersion": VERSION,
    "release": {"name": "airflow", "namespace": "airflow"},
    "airflow": {
        "apiService": {"name": "airflow-api-server", "port": 8080, "path": ""},
        "adminSecret": "airflow-admin",
        "connectionsSecret": "airflow-connections",
        "serviceAccounts": [{"namespace": "airflow", "name": "airflow-scheduler"}],
    },
    "xcomSidecar": {"image": "registry.test/alpine:3", "resources": {}, "securityContext": {}},
    "labelPolicy": {},
    "gpuResource": "nvidia.com/gpu",
    "podLink": "",
    "rules": {
        file.stem: yaml.safe_load(file.read_text(encoding="utf-8"))["rules"] for file in sorted(RBAC.glob("*.yaml"))
    },
    "podTemplates": {
        "default": {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "task", "labels": {"app.kubernetes.io/part-of": "kpo-platform"}},
            "spec": {
                "securityContext": {"runAsNonRoot": True, "fsGroup": 50000},
                "containers": [
                    {
                        "name": "base",
                        "env": [{"name": "HOME", "value": "/work"}],
                        "volumeMounts": [{"name": "work", "mountPath": "/work"}],
                    }
                ],
                "volumes": [{"name": "work", "emptyDir": {}}],
            },
        }
    },
    "sidecars": {
        "log-shipper": {
            "spec": {"initContainers": [{"name": "log-shipper", "image": "busybox:1.35", "restartPolicy": "Always"}]}
        }
    },
    "teams": {"alpha": TEAM},
}


def write_contract(file: Path, content: dict[str, Any]) -> None:
    """Write a contract to a file, always as a new one: two writes within a tick of the clock would look the same."""
    new_file = file.with_suffix(".new")
    new_file.write_text(json.dumps(content))
    new_file.replace(file)


def build_contract(**team: Any) -> Contract:
    """Build the contract with the one team ``alpha``; ``team`` replaces fields of `TEAM`."""
    content = copy.deepcopy(CONTRACT)
    content["teams"]["alpha"].update(team)
    return parse(json.dumps(content))


def build_teams(isolation: dict[str, Any] | None = None, **connections: str) -> Contract:
    """Build the contract with these teams, ``_`` in a name standing for ``-``, and the ids of their connections."""
    content = copy.deepcopy(CONTRACT)
    content["teams"] = {
        name.replace("_", "-"): {**TEAM, "connection": {**TEAM["connection"], "id": connection}}
        for name, connection in connections.items()
    }
    return parse(json.dumps({**content, "isolation": isolation or {}}))
