"""The teams' pools and git connections in Airflow's database."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path

import pytest

from chart.objects import read_team_settings
from chart.pod_scripts import load_script
from chart.rendering import Object, find_by_prefix, find_object, list_containers, map_pods_by_component, render

PRIVATE: Object = {
    "teams": {
        "alpha": {"dags": {"repo": "https://git.example/alpha.git", "credentialsSecret": "alpha-git"}},
        "beta": {"quota": {"pods": 5}},
    }
}


def find_job_name(values: Object) -> str:
    name: str = find_by_prefix(render(values), "Job", "airflow-team-settings-")["metadata"]["name"]
    return name


def build_pool(team: str, slots: int) -> Object:
    description = f"Tasks of team {team}. Managed by the chart kpo-platform."
    return {"slots": slots, "description": description, "include_deferred": True}


def test_every_team_has_a_pool_that_counts_deferred_tasks() -> None:
    assert read_team_settings(PRIVATE) == {
        "roles.json": {"team-alpha": [], "team-beta": []},
        "pools.json": {"team-alpha": build_pool("alpha", 128), "team-beta": build_pool("beta", 5)},
        "connections.json": {"git-alpha": "alpha-git"},
        "ssh.json": {"strict_host_key_checking": "accept-new"},
    }


def test_known_hosts_are_mounted_and_enforced() -> None:
    values: Object = {**PRIVATE, "dags": {"knownHosts": "git.example ssh-ed25519 AAAA\n"}}
    assert read_team_settings(values)["ssh.json"] == {
        "strict_host_key_checking": "yes",
        "known_hosts_file": "/opt/kpo-platform/config/known_hosts",
    }
    assert (
        find_object(render(values), "ConfigMap", "airflow-config")["data"]["known_hosts"]
        == "git.example ssh-ed25519 AAAA\n"
    )
    for component in ("dag-processor", "scheduler", "triggerer"):
        mounts = map_pods_by_component(render(values))[component]["spec"]["containers"][0]["volumeMounts"]
        assert {"name": "config", "mountPath": "/opt/kpo-platform/config", "readOnly": True} in mounts


def test_job_waits_for_migrations_and_mounts_the_secrets() -> None:
    spec = map_pods_by_component(render(PRIVATE))["team-settings"]["spec"]
    assert [container["name"] for container in spec["initContainers"]] == ["wait-for-migrations"]
    assert spec["automountServiceAccountToken"] is False
    assert [volume for volume in spec["volumes"] if "secret" in volume] == [
        {"name": "credentials-0", "secret": {"secretName": "alpha-git", "optional": True}}
    ]
    mounts = {mount["name"]: mount["mountPath"] for mount in spec["containers"][0]["volumeMounts"]}
    assert mounts["credentials-0"] == "/opt/kpo-platform/credentials/alpha-git"


def test_git_secret_is_mounted_in_the_job_only() -> None:
    with_secret = {
        name for name, pod in map_pods_by_component(render(PRIVATE)).items() if "alpha-git" in json.dumps(pod)
    }
    assert with_secret == {"team-settings"}
    assert all(
        "alpha-git" not in json.dumps(list(list_containers(pod)))
        for pod in map_pods_by_component(render({"teams": {}})).values()
    )


def test_dag_bundle_uses_the_git_connection() -> None:
    config = next(item for item in render(PRIVATE) if item["metadata"]["name"] == "airflow-config")
    line = next(line for line in config["data"]["airflow.cfg"].splitlines() if "dag_bundle_config_list" in line)
    (bundle,) = json.loads(line.partition(" = ")[2])
    assert bundle["kwargs"]["git_conn_id"] == "git-alpha"


def test_job_runs_again_only_after_a_relevant_change() -> None:
    slots, secret, label = (deepcopy(PRIVATE) for _ in range(3))
    slots["teams"]["beta"]["quota"]["pods"] = 6
    secret["teams"]["alpha"]["dags"]["credentialsSecret"] = "alpha-git-2"
    label["teams"]["alpha"]["labels"] = {"cost-centre": "42"}
    assert len({find_job_name(PRIVATE), find_job_name(slots), find_job_name(secret)}) == 3
    assert find_job_name(label) == find_job_name(PRIVATE)


def test_team_without_a_repository_has_no_connection() -> None:
    values = {"teamDefaults": {"dags": {"credentialsSecret": "git"}}, "teams": {"alpha": {}}}
    assert read_team_settings(values)["connections.json"] == {}


@pytest.mark.parametrize(
    ("secret", "fields"),
    [
        ({"username": "bot\n", "password": "p4ss\n"}, {"login": "bot", "password": "p4ss"}),
        ({"password": "t0ken"}, {"login": "user", "password": "t0ken"}),
        (
            {"ssh-privatekey": "KEY\nEND", "known_hosts": "x"},
            {"extra": '{"private_key": "KEY\\nEND\\n", "strict_host_key_checking": "yes"}'},
        ),
        ({"token": "x"}, {}),
        ({}, {}),
    ],
)
def test_basic_auth_and_ssh_auth_secrets_become_connections(
    secret: dict[str, str], fields: Object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in secret.items():
        (tmp_path / name).write_text(value)
    assert (
        load_script("team_settings", monkeypatch).read_connection_fields(tmp_path, {"strict_host_key_checking": "yes"})
        == fields
    )
