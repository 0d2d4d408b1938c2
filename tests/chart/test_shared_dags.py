"""DAGs shared by all teams: a repository with git-sync, or an existing volume."""

from __future__ import annotations

import json

import pytest
import yaml

from chart.objects import list_restarted_components, read_airflow_cfg
from chart.rendering import ROOT, Object, find_object, map_pods_by_component, render, render_errors

REPOSITORY: Object = {"repo": "https://git.example/all.git", "subPath": "airflow/dags", "period": "30s"}
READERS = ("dag-processor", "scheduler")


def build_git_sync_values(**more: str) -> Object:
    return {"dags": {"gitSync": {"enabled": True, **REPOSITORY, **more}}}


def build_volume_values(**more: str) -> Object:
    return {"dags": {"persistence": {"existingClaim": "dags", **more}}}


def find_sidecar(values: Object, component: str = "scheduler") -> Object:
    """Return the first init container of a component."""
    return dict(map_pods_by_component(render(values))[component]["spec"]["initContainers"][0])


def list_mounts(values: Object, name: str = "shared-dags") -> dict[str, list[Object]]:
    """Return the mounts of a volume in Airflow's main containers by component."""
    mounts_by_component = {
        component: [mount for mount in container["volumeMounts"] if mount["name"] == name]
        for component, pod in map_pods_by_component(render(values)).items()
        for container in pod["spec"]["containers"]
        if "volumeMounts" in container
    }
    return {component: mounted for component, mounted in mounts_by_component.items() if mounted}


def list_volumes(values: Object, component: str = "scheduler") -> list[Object]:
    listed = map_pods_by_component(render(values))[component]["spec"]["volumes"]
    return [volume for volume in listed if volume["name"] in ("shared-dags", "git-sync-tmp", "git-secret")]


def read_bundles(values: Object) -> list[Object]:
    return list(json.loads(read_airflow_cfg(values)["dag_processor"]["dag_bundle_config_list"]))


def test_git_sync_has_one_version_in_chart_and_pod_templates() -> None:
    files = (ROOT / "pod_templates").rglob("*.yaml")
    pods_of_tasks = [yaml.safe_load(file.read_text(encoding="utf-8"))["spec"] for file in files]
    named = {
        container["image"]
        for pod in pods_of_tasks
        for container in pod.get("initContainers", [])
        if container["name"] == "git-sync"
    }
    assert named == {find_sidecar(build_git_sync_values())["image"]}


def test_git_sync_sidecar_starts_before_airflow() -> None:
    assert find_sidecar(build_git_sync_values()) == {
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
    assert find_sidecar(build_git_sync_values(), "dag-processor") == find_sidecar(build_git_sync_values())
    assert list_volumes(build_git_sync_values()) == [
        {"name": "shared-dags", "emptyDir": {}},
        {"name": "git-sync-tmp", "emptyDir": {}},
    ]


@pytest.mark.parametrize("values", [build_git_sync_values(), build_volume_values()])
def test_only_dag_readers_mount_shared_dags_read_only(values: Object) -> None:
    mount = {"name": "shared-dags", "mountPath": "/opt/airflow/shared", "readOnly": True}
    assert list_mounts(values) == {component: [mount] for component in READERS}


def test_shared_bundle_refreshes_with_the_git_sync_period() -> None:
    folder = "/opt/airflow/shared/repo/airflow/dags"
    assert read_bundles(build_git_sync_values()) == [
        {
            "name": "shared-dags",
            "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
            "kwargs": {"path": folder, "refresh_interval": 30},
        }
    ]
    assert read_airflow_cfg(build_git_sync_values())["core"]["dags_folder"] == folder


def test_team_repository_is_added_to_the_shared_bundle() -> None:
    teams = {"teams": {"alpha": {"dags": {"repo": "https://git.example/alpha.git"}}}}
    assert [bundle["name"] for bundle in read_bundles({**build_git_sync_values(), **teams})] == ["shared-dags", "alpha"]


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
def test_git_credentials_are_mounted_in_the_sidecar_only(repo: str, env: list[Object]) -> None:
    values = build_git_sync_values(repo=repo, credentialsSecret="key")
    container = find_sidecar(values)
    assert container["env"][6:] == env
    assert container["volumeMounts"][2:] == [{"name": "git-secret", "mountPath": "/etc/git-secret", "readOnly": True}]
    assert list_volumes(values)[2:] == [{"name": "git-secret", "secret": {"secretName": "key", "defaultMode": 0o440}}]
    assert list_mounts(values, "git-secret") == {}


def test_existing_volume_is_mounted_without_a_sidecar() -> None:
    claim = {"claimName": "dags", "readOnly": True}
    assert list_volumes(build_volume_values()) == [{"name": "shared-dags", "persistentVolumeClaim": claim}]
    assert find_sidecar(build_volume_values())["name"] == "wait-for-migrations"
    assert read_bundles(build_volume_values())[0]["kwargs"] == {"path": "/opt/airflow/shared"}
    assert [mount["subPath"] for (mount,) in list_mounts(build_volume_values(subPath="prod/dags")).values()] == [
        "prod/dags"
    ] * 2


def test_another_repository_restarts_dag_readers_only() -> None:
    assert list_restarted_components(
        build_git_sync_values(), build_git_sync_values(repo="https://git.example/other.git")
    ) == set(READERS)


def test_default_values_have_no_shared_dags() -> None:
    assert (list_mounts({}), list_volumes({}), read_bundles({})) == ({}, [], [])
    assert "dags_folder" not in read_airflow_cfg({})["core"]
    assert find_object(render(), "StatefulSet", "airflow-scheduler")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"dags": {**build_git_sync_values()["dags"], **build_volume_values()["dags"]}},
            "dags.gitSync.enabled is true: dags.persistence.existingClaim is set too, but shared DAGs have one source. "
            "Remove one of the two.",
        ),
        (
            build_git_sync_values(repo=""),
            "dags.gitSync.enabled is true: dags.gitSync.repo is empty. Set the URL of the repository.",
        ),
        (
            build_git_sync_values(repo="git://git.example/all.git", credentialsSecret="key"),
            "dags.gitSync.credentialsSecret is key: the git:// protocol does not support credentials. "
            "Use https or ssh in dags.gitSync.repo, or remove the Secret.",
        ),
        (
            build_git_sync_values(repo="git@git.example:all.git"),
            "dags.gitSync.credentialsSecret is empty: dags.gitSync.repo uses ssh, which requires a private key. "
            "Name a Secret with the keys ssh-privatekey and known_hosts, or use https.",
        ),
        (
            build_git_sync_values(repo="https://me:secret@git.example/all.git"),
            "dags.gitSync.repo contains a password: everyone who can read the release would see it. Put the password "
            "into a Secret and name the Secret in dags.gitSync.credentialsSecret.",
        ),
        (
            {**build_git_sync_values(), "teams": {"shared-dags": {}}},
            "teams.shared-dags has a reserved name: the bundle of the shared DAGs is called shared-dags. "
            "Rename the team.",
        ),
    ],
)
def test_invalid_shared_dags_are_refused(values: Object, message: str) -> None:
    assert render_errors(values) == [f"ERROR: {message}"]
