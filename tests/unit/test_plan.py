"""The plan: contract, sign-ins and live state in; creations, changes and obstacles out."""

from __future__ import annotations

import json
from base64 import b64decode
from dataclasses import replace
from typing import Any

import pytest

from kpo_platform.bootstrap import plan
from kpo_platform.bootstrap.model import (
    Action,
    FieldChange,
    LiveClaim,
    LiveConnection,
    LiveSecret,
    LiveState,
    ObjectRef,
    Plan,
    RegistryLogin,
    StorageClass,
    Verb,
)
from kpo_platform.bootstrap.registry.docker_config import RegistryCredentials
from kpo_platform.pod.xcom import build_connection_extra
from unit.support.contracts import contract

HOST = "registry.test"
REGISTRY = {"host": HOST, "pullSecret": "regcred"}
LOGIN = RegistryLogin("robot", "s3cret")
GIVEN = RegistryCredentials({HOST: LOGIN})
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
LIVE_CONNECTION = LiveConnection("kubernetes", build_connection_extra(contract().xcom_sidecar))
DONE = replace(
    EMPTY,
    secrets={("team-alpha", "regcred"): LIVE_SECRET},
    claims={("team-alpha", "data"): LIVE_CLAIM},
    connections={"k8s_default": LIVE_CONNECTION},
)


def made(live: LiveState, credentials: RegistryCredentials = GIVEN, **team: Any) -> Plan:
    whole = contract(**{"registry": REGISTRY, **team})
    return plan.make_plan(whole, whole.teams, credentials, live)


def the(found: Plan, target: ObjectRef) -> Action:
    return next(action for action in found.actions if action.target == target)


def volume(**fields: Any) -> dict[str, Any]:
    whole = {"name": "data", "size": "1Gi", "accessMode": "ReadWriteOnce", "storageClass": None}
    return {"volumes": [{**whole, "mountPath": "/data", "readOnly": False, **fields}]}


def with_claim(**fields: Any) -> LiveState:
    return replace(DONE, claims={("team-alpha", "data"): replace(LIVE_CLAIM, **fields)})


def with_secret(**fields: Any) -> LiveState:
    return replace(DONE, secrets={("team-alpha", "regcred"): replace(LIVE_SECRET, **fields)})


def test_an_empty_cluster_gets_everything():
    found = made(EMPTY)
    assert [(action.verb, action.target, action.note) for action in found.actions] == [
        (Verb.CREATE, SECRET, "registry registry.test"),
        (Verb.CREATE, CLAIM, "1Gi, ReadWriteOnce, class local-path (the default)"),
        (Verb.CREATE, CONNECTION, "in cluster"),
    ]


def test_what_is_written_is_whole():
    secret, claim, airflow = (action.body for action in made(EMPTY).actions)
    assert claim == {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data", "namespace": "team-alpha", "labels": LABELS},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    config = json.loads(b64decode(secret["data"].pop(".dockerconfigjson")))
    assert config == {"auths": {HOST: {"auth": "cm9ib3Q6czNjcmV0"}}}
    assert secret == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "regcred", "namespace": "team-alpha", "labels": LABELS},
        "type": "kubernetes.io/dockerconfigjson",
        "data": {},
    }
    assert airflow == {
        "connection_id": "k8s_default",
        "conn_type": "kubernetes",
        "description": "The cluster that Airflow runs in. Managed by platformctl bootstrap.",
        "extra": json.dumps(
            {
                "in_cluster": True,
                "xcom_sidecar_container_image": "registry.test/alpine:3",
                "xcom_sidecar_container_resources": "{}",
                "xcom_sidecar_container_security_context": "{}",
            }
        ),
    }


def test_what_is_as_it_should_be_is_left_alone():
    found = made(DONE)
    assert not found.has_pending and not found.has_blocked
    assert found.count(Verb.UNCHANGED) == len(found.actions) == 3


def test_sizes_are_compared_as_amounts():
    assert not made(DONE, **volume(size="1024Mi")).has_pending


def test_teams_share_a_connection():
    whole = contract()
    teams = {"alpha": whole.teams["alpha"], "beta": whole.teams["alpha"]}
    found = plan.make_plan(whole, teams, RegistryCredentials(), EMPTY)
    assert [action.target for action in found.connection_writes] == [CONNECTION]


def test_a_team_without_its_namespace_waits_for_the_chart():
    found = made(LiveState())
    assert found.actions[0] == Action(
        Verb.BLOCKED,
        ObjectRef("Namespace", "", "team-alpha"),
        note="the namespace of team alpha does not exist. Run helm upgrade to create it",
    )
    assert [action.target for action in found.actions[1:]] == [CONNECTION]


def test_a_registry_without_a_sign_in_is_a_finding_and_everything_else_is_done():
    found = made(EMPTY, RegistryCredentials({}, {HOST: "/home/me/.docker/config.json has none"}))
    assert the(found, SECRET) == Action(
        Verb.BLOCKED,
        SECRET,
        note="no credentials for registry registry.test (/home/me/.docker/config.json has none). "
        "Run docker login registry.test or pass --registry-config FILE, and run again",
    )
    assert [action.target for action in found.actions if action.is_pending] == [CLAIM, CONNECTION]
    assert plan.explain_refusal(found, contract().teams) == ""


def test_a_secret_that_is_there_is_kept_when_no_sign_in_is_given():
    action = the(made(DONE, RegistryCredentials({}, {HOST: "nothing"})), SECRET)
    assert (action.verb, action.note) == (
        Verb.UNCHANGED,
        "registry registry.test; no credentials given, kept as it is",
    )


def test_a_sign_in_that_soon_ends_says_so():
    action = the(made(EMPTY, RegistryCredentials({HOST: RegistryLogin("AWS", "s3cret")})), SECRET)
    assert action.note == (
        "registry registry.test; such a token expires 12 hours after it was issued, so run again before then"
    )


def test_a_new_password_is_a_change_that_shows_neither():
    action = the(made(with_secret(logins={HOST: RegistryLogin("robot", "old-s3cret")})), SECRET)
    shown = FieldChange("credentials for registry.test", "(old, not shown)", "(new, not shown)")
    assert (action.verb, action.changes, action.resource_version) == (Verb.CHANGE, (shown,), "7")


def test_a_plan_never_shows_a_secret_value():
    for live in (EMPTY, with_secret(logins={HOST: RegistryLogin("robot", "old-s3cret")})):
        shown = repr(made(live))
        assert "s3cret" not in shown and "cm9ib3Q6" not in shown


def test_registries_that_were_dropped_are_named():
    action = the(made(with_secret(logins={HOST: LOGIN, "old.test": LOGIN})), SECRET)
    assert action.changes == (FieldChange("registries", "old.test, registry.test", "registry.test"),)


def test_a_secret_of_another_type_cannot_change_in_place():
    action = the(made(with_secret(type="Opaque", logins={})), SECRET)
    assert (action.verb, action.note) == (
        Verb.BLOCKED,
        "cannot change in place: type Opaque → kubernetes.io/dockerconfigjson. Delete it and run again",
    )


@pytest.mark.parametrize(
    ("login", "verb", "note"),
    [
        (LOGIN, Verb.UNCHANGED, "not managed by platformctl, and correct"),
        (
            RegistryLogin("robot", "other"),
            Verb.BLOCKED,
            "it differs and is not managed by platformctl (no label app.kubernetes.io/managed-by=platformctl). "
            "Change it where it is defined, or delete it and run again",
        ),
    ],
)
def test_a_secret_of_another_hand_is_never_written(login: RegistryLogin, verb: Verb, note: str):
    action = the(made(with_secret(labels={}, logins={HOST: login})), SECRET)
    assert (action.verb, action.note) == (verb, note)


def test_a_connection_keeps_what_others_put_into_it_but_no_other_way_to_a_cluster():
    extra = {"in_cluster": "False", "kube_config": "s3cret", "disable_tcp_keepalive": True}
    action = the(made(replace(DONE, connections={"k8s_default": LiveConnection("k8s", extra)})), CONNECTION)
    assert action.verb is Verb.CHANGE
    assert action.changes == (
        FieldChange("type", "k8s", "kubernetes"),
        FieldChange("extra.in_cluster", "False", "true"),
        FieldChange("extra.xcom_sidecar_container_image", "(none)", "registry.test/alpine:3"),
        FieldChange("extra.xcom_sidecar_container_resources", "(none)", "{}"),
        FieldChange("extra.xcom_sidecar_container_security_context", "(none)", "{}"),
        FieldChange("extra.kube_config", "(not shown)", "(none)"),
    )
    written = json.loads(action.body["extra"])
    assert written == {**build_connection_extra(contract().xcom_sidecar), "disable_tcp_keepalive": True}
