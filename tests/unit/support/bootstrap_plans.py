"""Contract, live states and plans of bootstrap for team alpha: a Secret, a claim and a connection."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kpo_platform.bootstrap import plan
from kpo_platform.bootstrap.model import (
    Action,
    LiveClaim,
    LiveConnection,
    LiveSecret,
    LiveState,
    ObjectRef,
    Plan,
    RegistryLogin,
    StorageClass,
)
from kpo_platform.bootstrap.registry.docker_config import RegistryCredentials
from kpo_platform.pod.xcom import build_connection_extra
from unit.support.contracts import build_contract

HOST = "registry.test"
REGISTRY = {"host": HOST, "pullSecret": "regcred"}
LOGIN = RegistryLogin("robot", "s3cret")
CREDENTIALS = RegistryCredentials({HOST: LOGIN})
LABELS = {
    "app.kubernetes.io/managed-by": "platformctl",
    "app.kubernetes.io/part-of": "kpo-platform",
    "kpo-platform/team": "alpha",
}
SECRET = ObjectRef("Secret", "team-alpha", "regcred")
CLAIM = ObjectRef("PersistentVolumeClaim", "team-alpha", "data")
CONNECTION = ObjectRef("Connection", "", "k8s_default")

LOCAL = StorageClass("local-path", is_default=True, is_expandable=False, waits_for_pod=True)
GROWING = StorageClass("growing", is_default=False, is_expandable=True, waits_for_pod=False)
EMPTY = LiveState(namespaces=frozenset({"team-alpha"}), storage_classes=(LOCAL, GROWING))
LIVE_SECRET = LiveSecret("kubernetes.io/dockerconfigjson", LABELS, {HOST: LOGIN}, "7")
LIVE_CLAIM = LiveClaim("1Gi", ("ReadWriteOnce",), "local-path", "Bound", LABELS, "8")
LIVE_CONNECTION = LiveConnection("kubernetes", build_connection_extra(build_contract().xcom_sidecar))
COMPLETE = replace(
    EMPTY,
    secrets={("team-alpha", "regcred"): LIVE_SECRET},
    claims={("team-alpha", "data"): LIVE_CLAIM},
    connections={"k8s_default": LIVE_CONNECTION},
)


def build_plan(live: LiveState, credentials: RegistryCredentials = CREDENTIALS, **team: Any) -> Plan:
    full = build_contract(**{"registry": REGISTRY, **team})
    return plan.make_plan(full, full.teams, credentials, live)


def get_action(run_plan: Plan, target: ObjectRef) -> Action:
    return next(action for action in run_plan.actions if action.target == target)


def volume(**fields: Any) -> dict[str, Any]:
    full = {"name": "data", "size": "1Gi", "accessMode": "ReadWriteOnce", "storageClass": None}
    return {"volumes": [{**full, "mountPath": "/data", "readOnly": False, **fields}]}


def with_claim(**fields: Any) -> LiveState:
    return replace(COMPLETE, claims={("team-alpha", "data"): replace(LIVE_CLAIM, **fields)})


def with_secret(**fields: Any) -> LiveState:
    return replace(COMPLETE, secrets={("team-alpha", "regcred"): replace(LIVE_SECRET, **fields)})
