"""What Airflow's database gets for the teams: pools, and connections to private repositories."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path

import pytest

from chart.rendering import Object, find_by_prefix, find_object, list_containers, pods_by_component, render
from chart.test_scripts import script

PRIVATE: Object = {
    "teams": {
        "alpha": {"dags": {"repo": "https://git.example/alpha.git", "credentialsSecret": "alpha-git"}},
        "beta": {"quota": {"pods": 5}},
    }
}


def settings(values: Object) -> dict[str, Object]:
    """The files that the job reads."""
    data = find_by_prefix(render(values), "ConfigMap", "airflow-team-settings-")["data"]
    return {name: json.loads(text) for name, text in data.items()}


def job_name(values: Object) -> str:
    name: str = find_by_prefix(render(values), "Job", "airflow-team-settings-")["metadata"]["name"]
    return name


def pool(team: str, slots: int) -> Object:
    description = f"Tasks of team {team}. Kept by the chart kpo-platform."
    return {"slots": slots, "description": description, "include_deferred": True}


def test_every_team_has_a_pool_in_which_deferred_tasks_keep_their_slot() -> None:
    assert settings(PRIVATE) == {
        "roles.json": {"team-alpha": [], "team-beta": []},
        "pools.json": {"team-alpha": pool("alpha", 128), "team-beta": pool("beta", 5)},
        "connections.json": {"git-alpha": "alpha-git"},
        "ssh.json": {"strict_host_key_checking": "accept-new"},
    }


def test_keys_of_servers_that_are_known_are_asked_for_and_lie_where_airflow_s_settings_do() -> None:
    values: Object = {**PRIVATE, "dags": {"knownHosts": "git.example ssh-ed25519 AAAA\n"}}
    assert settings(values)["ssh.json"] == {
        "strict_host_key_checking": "yes",
        "known_hosts_file": "/opt/kpo-platform/config/known_hosts",
    }
    assert (
        find_object(render(values), "ConfigMap", "airflow-config")["data"]["known_hosts"]
        == "git.example ssh-ed25519 AAAA\n"
    )
    for component in ("dag-processor", "scheduler", "triggerer"):
        mounts = pods_by_component(render(values))[component]["spec"]["containers"][0]["volumeMounts"]
        assert {"name": "config", "mountPath": "/opt/kpo-platform/config", "readOnly": True} in mounts


def test_the_job_waits_for_the_database_and_reads_the_secrets_as_files() -> None:
    spec = pods_by_component(render(PRIVATE))["team-settings"]["spec"]
    assert [container["name"] for container in spec["initContainers"]] == ["wait-for-migrations"]
    assert spec["automountServiceAccountToken"] is False
    assert [volume for volume in spec["volumes"] if "secret" in volume] == [
        {"name": "credentials-0", "secret": {"secretName": "alpha-git", "optional": True}}
    ]
    mounts = {mount["name"]: mount["mountPath"] for mount in spec["containers"][0]["volumeMounts"]}
    assert mounts["credentials-0"] == "/opt/kpo-platform/credentials/alpha-git"


def test_no_other_pod_sees_a_team_s_secret() -> None:
    with_secret = {name for name, pod in pods_by_component(render(PRIVATE)).items() if "alpha-git" in json.dumps(pod)}
    assert with_secret == {"team-settings"}
    assert all(
        "alpha-git" not in json.dumps(list(list_containers(pod)))
        for pod in pods_by_component(render({"teams": {}})).values()
    )


def test_the_bundle_is_opened_by_the_connection() -> None:
    config = next(item for item in render(PRIVATE) if item["metadata"]["name"] == "airflow-config")
    line = next(line for line in config["data"]["airflow.cfg"].splitlines() if "dag_bundle_config_list" in line)
    (bundle,) = json.loads(line.partition(" = ")[2])
    assert bundle["kwargs"]["git_conn_id"] == "git-alpha"


def test_the_job_runs_again_when_what_it_writes_changes_and_not_otherwise() -> None:
    slots, secret, label = (deepcopy(PRIVATE) for _ in range(3))
    slots["teams"]["beta"]["quota"]["pods"] = 6
    secret["teams"]["alpha"]["dags"]["credentialsSecret"] = "alpha-git-2"
    label["teams"]["alpha"]["labels"] = {"cost-centre": "42"}
    assert len({job_name(PRIVATE), job_name(slots), job_name(secret)}) == 3
    assert job_name(label) == job_name(PRIVATE)


def test_a_team_without_a_repository_asks_for_no_credentials() -> None:
    values = {"teamDefaults": {"dags": {"credentialsSecret": "git"}}, "teams": {"alpha": {}}}
    assert settings(values)["connections.json"] == {}


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
def test_a_secret_of_kubernetes_own_types_becomes_a_connection(
    secret: dict[str, str], fields: Object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in secret.items():
        (tmp_path / name).write_text(value)
    assert script("team_settings", monkeypatch).fields(tmp_path, {"strict_host_key_checking": "yes"}) == fields
