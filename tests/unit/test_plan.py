"""bootstrap.plan: actions from contract, credentials and live state."""

from __future__ import annotations

import json
from base64 import b64decode
from dataclasses import replace

import pytest

from kpo_platform.bootstrap import plan
from kpo_platform.bootstrap.model import (
    Action,
    FieldChange,
    LiveConnection,
    LiveState,
    ObjectRef,
    RegistryLogin,
    Verb,
)
from kpo_platform.bootstrap.registry.docker_config import RegistryCredentials
from kpo_platform.pod.xcom import build_connection_extra
from unit.support.bootstrap_plans import (
    CLAIM,
    COMPLETE,
    CONNECTION,
    EMPTY,
    HOST,
    LABELS,
    LOGIN,
    SECRET,
    build_plan,
    get_action,
    volume,
    with_secret,
)
from unit.support.contracts import build_contract


def test_empty_cluster_gets_all_objects():
    run_plan = build_plan(EMPTY)
    assert [(action.verb, action.target, action.note) for action in run_plan.actions] == [
        (Verb.CREATE, SECRET, "registry registry.test"),
        (Verb.CREATE, CLAIM, "1Gi, ReadWriteOnce, class local-path (the default)"),
        (Verb.CREATE, CONNECTION, "in cluster"),
    ]


def test_written_objects_are_complete():
    secret, claim, airflow = (action.body for action in build_plan(EMPTY).actions)
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


def test_matching_objects_are_unchanged():
    run_plan = build_plan(COMPLETE)
    assert not run_plan.has_pending and not run_plan.has_blocked
    assert run_plan.count(Verb.UNCHANGED) == len(run_plan.actions) == 3


def test_sizes_are_compared_as_quantities():
    assert not build_plan(COMPLETE, **volume(size="1024Mi")).has_pending


def test_shared_connection_is_planned_once():
    full = build_contract()
    teams = {"alpha": full.teams["alpha"], "beta": full.teams["alpha"]}
    run_plan = plan.make_plan(full, teams, RegistryCredentials(), EMPTY)
    assert [action.target for action in run_plan.connection_writes] == [CONNECTION]


def test_team_without_namespace_is_blocked():
    run_plan = build_plan(LiveState())
    assert run_plan.actions[0] == Action(
        Verb.BLOCKED,
        ObjectRef("Namespace", "", "team-alpha"),
        note="the namespace of team alpha does not exist. Run helm upgrade to create it",
    )
    assert [action.target for action in run_plan.actions[1:]] == [CONNECTION]


def test_registry_without_credentials_blocks_only_its_secret():
    run_plan = build_plan(EMPTY, RegistryCredentials({}, {HOST: "/home/me/.docker/config.json has none"}))
    assert get_action(run_plan, SECRET) == Action(
        Verb.BLOCKED,
        SECRET,
        note="no credentials for registry registry.test (/home/me/.docker/config.json has none). "
        "Run docker login registry.test or pass --registry-config FILE, and run again",
    )
    assert [action.target for action in run_plan.actions if action.is_pending] == [CLAIM, CONNECTION]
    assert plan.explain_refusal(run_plan, build_contract().teams) == ""


def test_existing_secret_is_kept_without_new_credentials():
    action = get_action(build_plan(COMPLETE, RegistryCredentials({}, {HOST: "nothing"})), SECRET)
    assert (action.verb, action.note) == (
        Verb.UNCHANGED,
        "registry registry.test; no credentials given, kept unchanged",
    )


def test_expiring_token_is_noted():
    action = get_action(build_plan(EMPTY, RegistryCredentials({HOST: RegistryLogin("AWS", "s3cret")})), SECRET)
    assert action.note == (
        "registry registry.test; such a token expires 12 hours after it was issued, so run again before then"
    )


def test_password_change_shows_no_password():
    action = get_action(build_plan(with_secret(logins={HOST: RegistryLogin("robot", "old-s3cret")})), SECRET)
    shown = FieldChange("credentials for registry.test", "(old, not shown)", "(new, not shown)")
    assert (action.verb, action.changes, action.resource_version) == (Verb.CHANGE, (shown,), "7")


def test_plan_never_shows_a_secret_value():
    for live in (EMPTY, with_secret(logins={HOST: RegistryLogin("robot", "old-s3cret")})):
        shown = repr(build_plan(live))
        assert "s3cret" not in shown and "cm9ib3Q6" not in shown


def test_dropped_registries_are_named():
    action = get_action(build_plan(with_secret(logins={HOST: LOGIN, "old.test": LOGIN})), SECRET)
    assert action.changes == (FieldChange("registries", "old.test, registry.test", "registry.test"),)


def test_secret_of_another_type_is_blocked():
    action = get_action(build_plan(with_secret(type="Opaque", logins={})), SECRET)
    assert (action.verb, action.note) == (
        Verb.BLOCKED,
        "cannot change in place: type Opaque → kubernetes.io/dockerconfigjson: the type of a Secret is immutable. "
        "Delete the Secret and run again",
    )


@pytest.mark.parametrize(
    ("login", "verb", "note"),
    [
        (LOGIN, Verb.UNCHANGED, "not managed by platformctl, and correct"),
        (
            RegistryLogin("robot", "other"),
            Verb.BLOCKED,
            "it does not match the credentials and is not managed by platformctl "
            "(no label app.kubernetes.io/managed-by=platformctl). "
            "Change it where it is defined, or delete it and run again",
        ),
    ],
)
def test_unmanaged_secret_is_never_written(login: RegistryLogin, verb: Verb, note: str):
    action = get_action(build_plan(with_secret(labels={}, logins={HOST: login})), SECRET)
    assert (action.verb, action.note) == (verb, note)


def test_connection_keeps_other_keys_except_other_clusters():
    extra = {"in_cluster": "False", "kube_config": "s3cret", "disable_tcp_keepalive": True}
    action = get_action(
        build_plan(replace(COMPLETE, connections={"k8s_default": LiveConnection("k8s", extra)})), CONNECTION
    )
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
    assert written == {**build_connection_extra(build_contract().xcom_sidecar), "disable_tcp_keepalive": True}
