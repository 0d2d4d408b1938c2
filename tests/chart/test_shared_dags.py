"""DAGs of all teams in one place: a repository that git-sync follows, or a volume that somebody else fills."""

from __future__ import annotations

import json

import pytest
import yaml

from chart.rendering import ROOT, Object, find_object, pods_by_component, render, render_errors
from chart.test_airflow import changed, settings

REPOSITORY: Object = {"repo": "https://git.example/all.git", "subPath": "airflow/dags", "period": "30s"}
READERS = ("dag-processor", "scheduler")


def followed(**more: str) -> Object:
    return {"dags": {"gitSync": {"enabled": True, **REPOSITORY, **more}}}


def volume(**more: str) -> Object:
    return {"dags": {"persistence": {"existingClaim": "dags", **more}}}


def sidecar(values: Object, component: str = "scheduler") -> Object:
    """The container that comes before all others of a pod."""
    return dict(pods_by_component(render(values))[component]["spec"]["initContainers"][0])


def mounts(values: Object, name: str = "shared-dags") -> dict[str, list[Object]]:
    """Where Airflow's own containers have the shared DAGs: component → mounts."""
    found = {
        component: [mount for mount in container["volumeMounts"] if mount["name"] == name]
        for component, pod in pods_by_component(render(values)).items()
        for container in pod["spec"]["containers"]
        if "volumeMounts" in container
    }
    return {component: mounted for component, mounted in found.items() if mounted}


def volumes(values: Object, component: str = "scheduler") -> list[Object]:
    listed = pods_by_component(render(values))[component]["spec"]["volumes"]
    return [one for one in listed if one["name"] in ("shared-dags", "git-sync-tmp", "git-secret")]


def bundles(values: Object) -> list[Object]:
    return list(json.loads(settings(values)["dag_processor"]["dag_bundle_config_list"]))


def test_templates_and_chart_name_one_version_of_git_sync() -> None:
    files = (ROOT / "pod_templates").rglob("*.yaml")
    pods_of_tasks = [yaml.safe_load(file.read_text(encoding="utf-8"))["spec"] for file in files]
    named = {
        each["image"] for pod in pods_of_tasks for each in pod.get("initContainers", []) if each["name"] == "git-sync"
    }
    assert named == {sidecar(followed())["image"]}


def test_a_sidecar_follows_the_repository_and_airflow_starts_after_its_first_copy() -> None:
    assert sidecar(followed()) == {
        "name": "git-sync",
        "image": "registry.k8s.io/git-sync/git-sync:v4.4.2",
        "imagePullPolicy": "IfNotPresent",
        "restartPolicy": "Always",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "runAsUser": 65533,
        },
        "env": [
            {"name": "GITSYNC_REPO", "value": "https://git.example/all.git"},
            {"name": "GITSYNC_REF", "value": "main"},
            {"name": "GITSYNC_ROOT", "value": "/git"},
            {"name": "GITSYNC_LINK", "value": "repo"},
            {"name": "GITSYNC_PERIOD", "value": "30s"},
            {"name": "GITSYNC_HTTP_BIND", "value": ":1234"},
        ],
        "ports": [{"name": "git-sync", "containerPort": 1234}],
        "startupProbe": {"httpGet": {"path": "/", "port": "git-sync"}, "periodSeconds": 2, "failureThreshold": 300},
        "resources": {"requests": {"cpu": "20m", "memory": "64Mi"}},
        "volumeMounts": [{"name": "shared-dags", "mountPath": "/git"}, {"name": "git-sync-tmp", "mountPath": "/tmp"}],
    }
    assert sidecar(followed(), "dag-processor") == sidecar(followed())
    assert volumes(followed()) == [
        {"name": "shared-dags", "emptyDir": {}},
        {"name": "git-sync-tmp", "emptyDir": {}},
    ]


@pytest.mark.parametrize("values", [followed(), volume()])
def test_only_those_who_read_dags_have_them_and_nobody_may_write(values: Object) -> None:
    mount = {"name": "shared-dags", "mountPath": "/opt/airflow/shared", "readOnly": True}
    assert mounts(values) == {component: [mount] for component in READERS}


def test_airflow_looks_as_often_as_the_sidecar_does_and_teams_are_folders() -> None:
    folder = "/opt/airflow/shared/repo/airflow/dags"
    assert bundles(followed()) == [
        {
            "name": "shared-dags",
            "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
            "kwargs": {"path": folder, "refresh_interval": 30},
        }
    ]
    assert settings(followed())["core"]["dags_folder"] == folder


def test_a_team_s_own_repository_stands_beside_the_shared_one() -> None:
    teams = {"teams": {"alpha": {"dags": {"repo": "https://git.example/alpha.git"}}}}
    assert [bundle["name"] for bundle in bundles({**followed(), **teams})] == ["shared-dags", "alpha"]


@pytest.mark.parametrize(
    ("repo", "env"),
    [
        (
            "https://git.example/all.git",
            [
                {"name": "GITSYNC_USERNAME", "valueFrom": {"secretKeyRef": {"name": "key", "key": "username"}}},
                {"name": "GITSYNC_PASSWORD_FILE", "value": "/etc/git-secret/password"},
            ],
        ),
        (
            "git@git.example:all.git",
            [
                {"name": "GITSYNC_SSH_KEY_FILE", "value": "/etc/git-secret/ssh-privatekey"},
                {"name": "GITSYNC_SSH_KNOWN_HOSTS_FILE", "value": "/etc/git-secret/known_hosts"},
            ],
        ),
    ],
)
def test_what_opens_a_private_repository_is_read_from_files_of_the_sidecar_alone(repo: str, env: list[Object]) -> None:
    values = followed(repo=repo, credentialsSecret="key")
    found = sidecar(values)
    assert found["env"][6:] == env
    assert found["volumeMounts"][2:] == [{"name": "git-secret", "mountPath": "/etc/git-secret", "readOnly": True}]
    assert volumes(values)[2:] == [{"name": "git-secret", "secret": {"secretName": "key", "defaultMode": 0o440}}]
    assert mounts(values, "git-secret") == {}


def test_a_volume_is_read_as_it_is() -> None:
    claim = {"claimName": "dags", "readOnly": True}
    assert volumes(volume()) == [{"name": "shared-dags", "persistentVolumeClaim": claim}]
    assert sidecar(volume())["name"] == "wait-for-migrations"
    assert bundles(volume())[0]["kwargs"] == {"path": "/opt/airflow/shared"}
    assert [mount["subPath"] for (mount,) in mounts(volume(subPath="prod/dags")).values()] == ["prod/dags"] * 2


def test_who_reads_dags_starts_again_when_they_come_from_elsewhere() -> None:
    assert changed(followed(), followed(repo="https://git.example/other.git")) == set(READERS)


def test_without_shared_dags_nothing_speaks_of_them() -> None:
    assert (mounts({}), volumes({}), bundles({})) == ({}, [], [])
    assert "dags_folder" not in settings({})["core"]
    assert find_object(render(), "StatefulSet", "airflow-scheduler")


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            {"dags": {**followed()["dags"], **volume()["dags"]}},
            "dags.gitSync.enabled is true and dags.persistence.existingClaim names a volume, but shared DAGs come from "
            "one place; leave one of them out.",
        ),
        (
            followed(repo=""),
            "dags.gitSync.enabled is true and dags.gitSync.repo is empty, so there is nothing to follow; "
            "name the repository.",
        ),
        (
            followed(repo="git://git.example/all.git", credentialsSecret="key"),
            "dags.gitSync.credentialsSecret is key, but a git:// repository takes no credentials; "
            "give dags.gitSync.repo by https or ssh, or leave the secret out.",
        ),
        (
            followed(repo="git@git.example:all.git"),
            "dags.gitSync.repo is reached by ssh and dags.gitSync.credentialsSecret is empty, "
            "so there is no key to open it; name a Secret with ssh-privatekey and known_hosts, "
            "or give the repository by https.",
        ),
        (
            followed(repo="https://me:secret@git.example/all.git"),
            "dags.gitSync.repo has a password in it, which everybody who reads the release would see; put it into a "
            "Secret and name that in dags.gitSync.credentialsSecret.",
        ),
        (
            {**followed(), "teams": {"shared-dags": {}}},
            "teams.shared-dags has the name under which Airflow keeps the shared DAGs; rename the team.",
        ),
    ],
)
def test_what_cannot_be_is_refused(values: Object, sentence: str) -> None:
    assert render_errors(values) == [f"ERROR: {sentence}"]
