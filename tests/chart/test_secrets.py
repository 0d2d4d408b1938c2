"""Secrets: made in the cluster, named in the release, and known to those who need them."""

from __future__ import annotations

import json

import pytest

from chart.objects import env_by_name, list_secret_names
from chart.rendering import Object, find_by_prefix, list_containers, pods_by_component, render

EXISTING: Object = {
    "postgresql": {"enabled": False},
    "data": {"metadataSecretName": "my-database"},
    "fernetKeySecretName": "my-fernet",
    "jwtSecretName": "my-jwt",
    "apiSecretKeySecretName": "my-api",
    "adminSecretName": "my-admin",
}
ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


def holders(variable: str) -> set[str]:
    """The components one of whose containers has this variable."""
    return {
        name
        for name, pod in pods_by_component(render()).items()
        if any(variable in env_by_name(container) for container in list_containers(pod))
    }


def test_the_release_holds_no_secret() -> None:
    assert [item for item in render() if item["kind"] == "Secret"] == []


@pytest.mark.parametrize("word", ["PASSWORD", "SECRET_KEY", "FERNET", "JWT", "SQL_ALCHEMY_CONN"])
def test_a_variable_that_holds_a_secret_refers_to_one(word: str) -> None:
    for pod in pods_by_component(render()).values():
        for container in list_containers(pod):
            told = {name: value for name, value in env_by_name(container).items() if word in name}
            assert all(value.keys() == {"secretKeyRef"} for value in told.values()), told


def test_a_second_rendering_is_the_same() -> None:
    assert json.dumps(render({"teams": {"alpha": {}}})) == json.dumps(render({"teams": {"alpha": {}}, "config": {}}))


def test_the_tokens_of_tasks_are_signed_and_checked_by_two_only() -> None:
    assert holders("AIRFLOW__API_AUTH__JWT_SECRET") == {"api-server", "scheduler"}


def test_who_waits_for_the_database_can_open_it_and_nothing_that_is_encrypted_there() -> None:
    told = {
        container["name"]: {name for name, value in env_by_name(container).items() if isinstance(value, dict)}
        for pod in pods_by_component(render({"teams": {"alpha": {}}})).values()
        for container in list_containers(pod)
        if container["name"].startswith("wait-for-")
    }
    database = {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"}
    assert told == {"wait-for-migrations": database, "wait-for-roles": database}


def test_logs_are_served_and_fetched_by_three_only() -> None:
    assert holders("AIRFLOW__API__SECRET_KEY") == {"api-server", "scheduler", "triggerer"}


def test_the_job_makes_every_secret_that_the_pods_read() -> None:
    objects = render()
    job = find_by_prefix(objects, "Job", "airflow-secrets-")
    made = json.loads(env_by_name(job["spec"]["template"]["spec"]["containers"][0])["SECRETS"])
    assert made == {
        "admin": "airflow-admin",
        "api-secret-key": "airflow-api-secret-key",
        "database": "airflow-database",
        "fernet-key": "airflow-fernet-key",
        "jwt-secret": "airflow-jwt-secret",
    }
    assert list_secret_names(objects) == set(made.values())


def test_the_job_looks_at_existing_secrets_which_need_not_be_there_yet() -> None:
    pod = find_by_prefix(render(EXISTING), "Job", "airflow-secrets-")["spec"]["template"]["spec"]
    given = json.loads(env_by_name(pod["containers"][0])["EXISTING_SECRETS"])
    assert given == {
        "admin": "my-admin",
        "api-secret-key": "my-api",
        "database": "my-database",
        "fernet-key": "my-fernet",
        "jwt-secret": "my-jwt",
    }
    mounted = {one["name"]: one["mountPath"] for one in pod["containers"][0]["volumeMounts"]}
    assert mounted == {"scripts": "/opt/kpo-platform/scripts", "token": ACCOUNT} | {
        what: f"/opt/kpo-platform/existing-secrets/{what}" for what in given
    }
    volumes = {one["name"]: one["secret"] for one in pod["volumes"] if "secret" in one}
    assert volumes == {what: {"secretName": name, "optional": True} for what, name in given.items()}


@pytest.mark.parametrize(
    ("repo", "kind"), [("https://git.example/dags.git", "git-https"), ("git@git.example:dags.git", "git-ssh")]
)
def test_the_job_looks_at_the_secrets_for_sign_in_and_git_sync_as_well(repo: str, kind: str) -> None:
    sign_in = {"issuer": "https://login.example", "clientId": "airflow", "clientSecretName": "my-client"}
    sync = {"enabled": True, "repo": repo, "credentialsSecret": "my-git"}
    pod = pods_by_component(render({"oidc": sign_in, "dags": {"gitSync": sync}}))["secrets"]["spec"]
    assert json.loads(env_by_name(pod["containers"][0])["EXISTING_SECRETS"]) == {
        "oidc-client": "my-client",
        kind: "my-git",
    }


def test_the_job_looks_at_no_secret_that_nothing_reads() -> None:
    unread = {"metadataSecretName": "my-database", "brokerUrlSecretName": "my-broker"}
    values = {"data": {**unread, "metadataConnection": {"passwordSecretName": "left-over", "caSecretName": "too"}}}
    pod = pods_by_component(render({**values, "postgresql": {"enabled": False}}))["secrets"]["spec"]
    assert json.loads(env_by_name(pod["containers"][0])["EXISTING_SECRETS"]) == {"database": "my-database"}


def test_existing_secrets_are_used_and_none_is_made() -> None:
    objects = render(EXISTING)
    job = find_by_prefix(objects, "Job", "airflow-secrets-")
    assert json.loads(env_by_name(job["spec"]["template"]["spec"]["containers"][0])["SECRETS"]) == {}
    assert list_secret_names(objects) == {"my-admin", "my-api", "my-database", "my-fernet", "my-jwt"}
