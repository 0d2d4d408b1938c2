"""Connections to other clusters, and those in the environment of Airflow's pods."""

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
from unit.support.contracts import contract

NOW = datetime(2026, 6, 1, tzinfo=UTC)
LIVE = LiveState(read_at=NOW, namespaces=frozenset({"team-alpha"}))
RECORDED = {
    "server": "https://other.test",
    "user": "system:serviceaccount:airflow:launcher",
    "expires": "2026-07-01T00:00:00Z",
    "renewAfter": "2026-06-16T00:00:00Z",
}
WAY = TargetAccess(RECORDED, {"users": [{"user": {"token": "s3cret"}}]})
SHOWN = "https://other.test as system:serviceaccount:airflow:launcher, until 2026-07-01T00:00:00Z"
CONNECTION = ObjectRef("Connection", "", "k8s_default")
SECRET = ObjectRef("Secret", "airflow", "airflow-connections")
HOW = "Run again with --target-kubeconfig (and --target-context)"
RESTART = (
    "Airflow's scheduler and triggerer read it at startup. Restart them: kubectl -n airflow rollout restart statefulset"
)


def made(live: LiveState, way: TargetAccess | None = None, **ref: str) -> list[Action]:
    whole = contract(volumes=[], connection={"id": "k8s_default", "mode": "inCluster", "via": "api", **ref})
    found = plan.make_plan(whole, whole.teams, RegistryCredentials(), live, {"k8s_default": way} if way else {})
    return list(found.actions)


def extra(**more: Any) -> dict[str, Any]:
    common = build_connection_extra(contract().xcom_sidecar)
    del common["in_cluster"]
    return {**common, **more}


def with_connection(**more: Any) -> LiveState:
    return replace(LIVE, connections={"k8s_default": LiveConnection("kubernetes", extra(**more))})


def with_environment(value: dict[str, Any], **labels: str) -> LiveState:
    ours = {"app.kubernetes.io/managed-by": "platformctl"} | labels
    values = {"AIRFLOW_CONN_OTHER": "{}", "AIRFLOW_CONN_K8S_DEFAULT": json.dumps(value)}
    return replace(LIVE, connections_secret=LiveConnectionsSecret(values, ours, "7"))


def test_a_connection_that_leads_out_waits_for_somebody_to_say_where():
    note = f"it points to another cluster. {HOW}"
    assert made(LIVE, mode="remote") == [Action(Verb.BLOCKED, CONNECTION, note=note)]


def test_a_connection_by_a_token_has_the_kubeconfig_and_a_readable_record():
    (action,) = made(LIVE, WAY, mode="remote")
    assert (action.verb, action.note) == (Verb.CREATE, SHOWN)
    written = extra(kube_config=dict(WAY.kube_config), kpo_platform=RECORDED)
    assert json.loads(action.body["extra"]) == written
    assert "s3cret" not in repr(action)


def test_a_token_that_has_most_of_its_life_before_it_stays():
    live = with_connection(kube_config="***", kpo_platform=RECORDED)
    assert made(live, mode="remote") == [Action(Verb.UNCHANGED, CONNECTION, note=SHOWN)]


def test_a_token_that_gets_old_is_a_finding_until_it_is_renewed():
    live = replace(with_connection(kube_config="***", kpo_platform=RECORDED), read_at=datetime(2026, 6, 20, tzinfo=UTC))
    note = f"its token expires at 2026-07-01T00:00:00Z and is due for renewal. {HOW}"
    assert made(live, mode="remote") == [Action(Verb.BLOCKED, CONNECTION, note=note)]
    newer = {**RECORDED, "expires": "2026-07-20T00:00:00Z", "renewAfter": "2026-07-05T00:00:00Z"}
    (action,) = made(live, TargetAccess(newer, {}), mode="remote")
    assert (action.verb, action.changes) == (
        Verb.CHANGE,
        (
            FieldChange("expires", "2026-07-01T00:00:00Z", "2026-07-20T00:00:00Z"),
            FieldChange("renewAfter", "2026-06-16T00:00:00Z", "2026-07-05T00:00:00Z"),
        ),
    )


def test_a_connection_that_led_inside_changes_to_the_other_way():
    (action,) = made(with_connection(in_cluster=True), WAY, mode="remote")
    assert action.changes[-2:] == (
        FieldChange("extra.in_cluster", "(not shown)", "(none)"),
        FieldChange("extra.kube_config", "(none)", "(not shown)"),
    )
    assert "in_cluster" not in json.loads(action.body["extra"])


def test_a_connection_that_led_out_changes_to_the_way_inside():
    (action,) = made(with_connection(kube_config="***", kpo_platform=RECORDED))
    assert {"kube_config", RECORD_KEY} & json.loads(action.body["extra"]).keys() == set()


def test_the_same_kubeconfig_again_is_no_change_even_where_its_user_could_not_be_asked_for():
    record = {"server": "https://other.test", "user": "jane", "fingerprint": "abc"}
    live = with_connection(kube_config="***", kpo_platform=record)
    for user in ("jane", target_cluster.UNVERIFIED_USER):
        (action,) = made(live, TargetAccess({**record, "user": user}, {}), mode="kubeconfig")
        assert action.verb is Verb.UNCHANGED
    (action,) = made(live, TargetAccess({**record, "fingerprint": "def"}, {}), mode="kubeconfig")
    assert action.changes == (FieldChange("fingerprint", "abc", "def"),)


def test_a_connection_in_the_environment_is_a_secret_that_keeps_what_others_have_in_it():
    (action,) = made(with_environment({}), via="env")
    assert (action.verb, action.target) == (Verb.CREATE, SECRET)
    assert action.note == f"connection k8s_default: in cluster; {RESTART}"
    data = {key: json.loads(base64.b64decode(text)) for key, text in action.body["data"].items()}
    assert data == {
        "AIRFLOW_CONN_K8S_DEFAULT": {
            "conn_type": "kubernetes",
            "description": "The cluster that Airflow runs in. Managed by platformctl bootstrap.",
            "extra": build_connection_extra(contract().xcom_sidecar),
        },
        "AIRFLOW_CONN_OTHER": {},
    }


def test_a_connection_in_the_environment_that_is_as_it_should_be_is_left_alone():
    live = with_environment({"conn_type": "kubernetes", "extra": build_connection_extra(contract().xcom_sidecar)})
    assert made(live, via="env") == [Action(Verb.UNCHANGED, SECRET, note="connections k8s_default")]


def test_a_connection_in_the_environment_and_in_the_database_is_a_conflict():
    conflict, secret = made(with_connection(in_cluster=True), via="env")
    assert (conflict, secret.verb) == (
        Action(
            Verb.BLOCKED,
            CONNECTION,
            note="it is also in Airflow's database, where it has no effect: the environment (AIRFLOW_CONN_K8S_DEFAULT) "
            "overrides it. Delete it there or set connection.via to api",
        ),
        Verb.CREATE,
    )


def test_a_variable_in_airflows_pods_is_a_conflict_with_a_connection_over_the_api():
    live = replace(
        LIVE, connection_variables={"AIRFLOW_CONN_K8S_DEFAULT": (ContainerVariable("airflow-scheduler-0", True, None),)}
    )
    assert made(live) == [
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
        (LIVE, False, "does not exist"),
        (with_connection(), False, "not created by platformctl"),
        (with_connection(in_cluster=True, kpo_platform=RECORDED), False, "differs in extra.in_cluster"),
        (
            with_connection(kube_config="***", kpo_platform=RECORDED),
            True,
            f"type kubernetes, {SHOWN}, XCom sidecar registry.test/alpine:3",
        ),
    ],
)
def test_the_evidence_tells_where_a_connection_leads(live: LiveState, healthy: bool, seen: str):
    whole = contract(volumes=[], connection={"id": "k8s_default", "mode": "remote", "via": "api"})
    assert verify.verify_state(whole, whole.teams, live, {}) == (verify.Evidence(CONNECTION, healthy, seen),)
