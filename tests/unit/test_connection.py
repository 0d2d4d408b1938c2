"""bootstrap.connections: plans of connections to other clusters and of environment variables."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from kpo_platform.bootstrap import plan, verify
from kpo_platform.bootstrap.connections import target_cluster
from kpo_platform.bootstrap.connections.target_cluster import RECORD_KEY, TargetAccess
from kpo_platform.bootstrap.model import (
    Action,
    ContainerVariable,
    FieldChange,
    LiveConnection,
    LiveConnectionsSecret,
    LiveState,
    ObjectRef,
    Verb,
)
from kpo_platform.bootstrap.registry.docker_config import RegistryCredentials
from kpo_platform.pod.xcom import build_connection_extra
from unit.support.contracts import build_contract

NOW = datetime(2026, 6, 1, tzinfo=UTC)
LIVE = LiveState(read_at=NOW, namespaces=frozenset({"team-alpha"}))
RECORD = {
    "server": "https://other.test",
    "user": "system:serviceaccount:airflow:launcher",
    "expires": "2026-07-01T00:00:00Z",
    "renewAfter": "2026-06-16T00:00:00Z",
}
ACCESS = TargetAccess(RECORD, {"users": [{"user": {"token": "s3cret"}}]})
DESCRIPTION = "https://other.test as system:serviceaccount:airflow:launcher, until 2026-07-01T00:00:00Z"
CONNECTION = ObjectRef("Connection", "", "k8s_default")
FIX_IN_OTHER_CLUSTER = "Run bootstrap again with --target-kubeconfig (and --target-context)"
SECRET = ObjectRef("Secret", "airflow", "airflow-connections")
FIX = "Run again with --target-kubeconfig (and --target-context)"
RESTART = (
    "Airflow's scheduler and triggerer read the Secret at startup. "
    "Restart them: kubectl -n airflow rollout restart statefulset"
)


def plan_actions(live: LiveState, access: TargetAccess | None = None, **ref: str) -> list[Action]:
    full = build_contract(volumes=[], connection={"id": "k8s_default", "mode": "inCluster", "via": "api", **ref})
    run_plan = plan.make_plan(full, full.teams, RegistryCredentials(), live, {"k8s_default": access} if access else {})
    return list(run_plan.actions)


def extra(**more: Any) -> dict[str, Any]:
    common = build_connection_extra(build_contract().xcom_sidecar)
    del common["in_cluster"]
    return {**common, **more}


def with_connection(**more: Any) -> LiveState:
    return replace(LIVE, connections={"k8s_default": LiveConnection("kubernetes", extra(**more))})


def with_environment(value: dict[str, Any], **labels: str) -> LiveState:
    managed_labels = {"app.kubernetes.io/managed-by": "platformctl"} | labels
    values = {"AIRFLOW_CONN_OTHER": "{}", "AIRFLOW_CONN_K8S_DEFAULT": json.dumps(value)}
    return replace(LIVE, connections_secret=LiveConnectionsSecret(values, managed_labels, "7"))


def test_remote_connection_without_target_is_blocked():
    note = f"it points to another cluster. {FIX}"
    assert plan_actions(LIVE, mode="remote") == [Action(Verb.BLOCKED, CONNECTION, note=note)]


def test_token_connection_has_kubeconfig_and_record():
    (action,) = plan_actions(LIVE, ACCESS, mode="remote")
    assert (action.verb, action.note) == (Verb.CREATE, DESCRIPTION)
    written = extra(kube_config=dict(ACCESS.kube_config), kpo_platform=RECORD)
    assert json.loads(action.body["extra"]) == written
    assert "s3cret" not in repr(action)


def test_token_in_the_first_half_of_its_lifetime_is_kept():
    live = with_connection(kube_config="***", kpo_platform=RECORD)
    assert plan_actions(live, mode="remote") == [Action(Verb.UNCHANGED, CONNECTION, note=DESCRIPTION)]


def test_token_due_for_renewal_is_blocked_until_renewed():
    live = replace(with_connection(kube_config="***", kpo_platform=RECORD), read_at=datetime(2026, 6, 20, tzinfo=UTC))
    note = f"its token expires at 2026-07-01T00:00:00Z and is due for renewal. {FIX}"
    assert plan_actions(live, mode="remote") == [Action(Verb.BLOCKED, CONNECTION, note=note)]
    newer = {**RECORD, "expires": "2026-07-20T00:00:00Z", "renewAfter": "2026-07-05T00:00:00Z"}
    (action,) = plan_actions(live, TargetAccess(newer, {}), mode="remote")
    assert (action.verb, action.changes) == (
        Verb.CHANGE,
        (
            FieldChange("expires", "2026-07-01T00:00:00Z", "2026-07-20T00:00:00Z"),
            FieldChange("renewAfter", "2026-06-16T00:00:00Z", "2026-07-05T00:00:00Z"),
        ),
    )


def test_in_cluster_connection_changes_to_a_remote_one():
    (action,) = plan_actions(with_connection(in_cluster=True), ACCESS, mode="remote")
    assert action.changes[-2:] == (
        FieldChange("extra.in_cluster", "(not shown)", "(none)"),
        FieldChange("extra.kube_config", "(none)", "(not shown)"),
    )
    assert "in_cluster" not in json.loads(action.body["extra"])


def test_remote_connection_changes_to_in_cluster():
    (action,) = plan_actions(with_connection(kube_config="***", kpo_platform=RECORD))
    assert {"kube_config", RECORD_KEY} & json.loads(action.body["extra"]).keys() == set()


def test_same_kubeconfig_is_unchanged_even_with_unverified_user():
    record = {"server": "https://other.test", "user": "jane", "fingerprint": "abc"}
    live = with_connection(kube_config="***", kpo_platform=record)
    for user in ("jane", target_cluster.UNVERIFIED_USER):
        (action,) = plan_actions(live, TargetAccess({**record, "user": user}, {}), mode="kubeconfig")
        assert action.verb is Verb.UNCHANGED
    (action,) = plan_actions(live, TargetAccess({**record, "fingerprint": "def"}, {}), mode="kubeconfig")
    assert action.changes == (FieldChange("fingerprint", "abc", "def"),)


def test_env_connection_keeps_other_keys_of_the_secret():
    (action,) = plan_actions(with_environment({}), via="env")
    assert (action.verb, action.target) == (Verb.CREATE, SECRET)
    assert action.note == f"connection k8s_default: in cluster; {RESTART}"
    data = {key: json.loads(base64.b64decode(text)) for key, text in action.body["data"].items()}
    assert data == {
        "AIRFLOW_CONN_K8S_DEFAULT": {
            "conn_type": "kubernetes",
            "description": "The cluster that Airflow runs in. Managed by platformctl bootstrap.",
            "extra": build_connection_extra(build_contract().xcom_sidecar),
        },
        "AIRFLOW_CONN_OTHER": {},
    }


def test_matching_env_connection_is_unchanged():
    live = with_environment({"conn_type": "kubernetes", "extra": build_connection_extra(build_contract().xcom_sidecar)})
    assert plan_actions(live, via="env") == [Action(Verb.UNCHANGED, SECRET, note="connections k8s_default")]


def test_env_connection_in_the_database_is_blocked():
    conflict, secret = plan_actions(with_connection(in_cluster=True), via="env")
    assert (conflict, secret.verb) == (
        Action(
            Verb.BLOCKED,
            CONNECTION,
            note="it is also in Airflow's database, where it has no effect: the environment (AIRFLOW_CONN_K8S_DEFAULT) "
            "overrides it. Delete it there or set connection.via to api",
        ),
        Verb.CREATE,
    )


def test_api_connection_with_a_pod_variable_is_blocked():
    live = replace(
        LIVE, connection_variables={"AIRFLOW_CONN_K8S_DEFAULT": (ContainerVariable("airflow-scheduler-0", True, None),)}
    )
    assert plan_actions(live) == [
        Action(
            Verb.BLOCKED,
            CONNECTION,
            note="Airflow's pods have AIRFLOW_CONN_K8S_DEFAULT in their environment, which overrides Airflow's "
            "database. Remove it there (run helm upgrade if connection.via was env before) or set connection.via "
            "to env",
        )
    ]


@pytest.mark.parametrize(
    ("live", "healthy", "seen"),
    [
        (LIVE, False, "does not exist. Run bootstrap again"),
        (with_connection(), False, f"not created by platformctl. {FIX_IN_OTHER_CLUSTER}"),
        (
            with_connection(in_cluster=True, kpo_platform=RECORD),
            False,
            f"differs from the contract in extra.in_cluster. {FIX_IN_OTHER_CLUSTER}",
        ),
        (
            with_connection(kube_config="***", kpo_platform=RECORD),
            True,
            f"type kubernetes, {DESCRIPTION}, XCom sidecar registry.test/alpine:3",
        ),
    ],
)
def test_evidence_names_the_cluster_of_a_connection(live: LiveState, healthy: bool, seen: str):
    full = build_contract(volumes=[], connection={"id": "k8s_default", "mode": "remote", "via": "api"})
    assert verify.verify_state(full, full.teams, live, {}) == (verify.Evidence(CONNECTION, healthy, seen),)
