"""Airflow's settings, and the restarts that changes cause."""

from __future__ import annotations

import json
from copy import deepcopy

import pytest

from chart.objects import list_restarted_components, read_airflow_cfg
from chart.rendering import TWO_TEAMS, Object, find_object, map_pods_by_component, render

THREE_TEAMS = deepcopy(TWO_TEAMS)
THREE_TEAMS["teams"]["gamma"] = {"dags": {"repo": "https://git.example/gamma.git"}}


def test_default_settings() -> None:
    assert read_airflow_cfg({}) == {
        "core": {
            "auth_manager": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
            "execution_api_server_url": "http://airflow-api-server.airflow.svc:8080/execution/",
            "executor": "LocalExecutor",
            "load_examples": "False",
            "sensitive_var_conn_names": "kube_config,client-key-data",
        },
        "dag_processor": {
            "bundle_refresh_check_interval": "1",
            "dag_bundle_config_list": "[]",
            "dag_bundle_storage_path": "/opt/airflow/bundles",
        },
        "database": {"sql_alchemy_max_overflow": "0", "sql_alchemy_pool_size": "15"},
        "execution_api": {"jwt_expiration_time": "1500"},
        "logging": {
            "base_log_folder": "/opt/airflow/logs",
            "colored_console_log": "False",
            "dag_processor_log_target": "stdout",
        },
        "scheduler": {"orphaned_tasks_check_interval": "60", "scheduler_idle_sleep_time": "0.6"},
        "triggerer": {"capacity": "5000", "max_trigger_to_select_per_loop": "500"},
        "workers": {
            "execution_api_retries": "40",
            "execution_api_retry_wait_max": "10",
            "max_failed_heartbeats": "1",
        },
    }


def test_config_value_overrides_defaults() -> None:
    values = {"config": {"core": {"parallelism": 4, "load_examples": True}, "metrics": {"statsd_on": True}}}
    expected = read_airflow_cfg({})
    expected["core"] |= {"parallelism": "4", "load_examples": "true"}
    expected["metrics"] = {"statsd_on": "true"}
    assert read_airflow_cfg(values) == expected


def test_numbers_in_config_keep_all_digits() -> None:
    config = {"core": {"xcom_objectstorage_threshold": 1048576, "parallelism": 0}, "webserver": {"rate": 0.25}}
    settings = read_airflow_cfg({"config": config})
    assert settings["core"]["xcom_objectstorage_threshold"] == "1048576"
    assert (settings["core"]["parallelism"], settings["webserver"]["rate"]) == ("0", "0.25")


def test_numeric_names_stay_strings() -> None:
    dags = {"persistence": {"existingClaim": "123", "subPath": "2024"}}
    values: Object = {"dags": dags, "logs": {"persistence": {"existingClaim": "456"}}, "fernetKeySecretName": "789"}
    spec = map_pods_by_component(render(values))["scheduler"]["spec"]
    claims = [
        volume["persistentVolumeClaim"]["claimName"] for volume in spec["volumes"] if "persistentVolumeClaim" in volume
    ]
    assert sorted(claims) == ["123", "456"]
    (container,) = spec["containers"]
    assert [mount["subPath"] for mount in container["volumeMounts"] if "subPath" in mount] == ["2024"]
    assert {item["valueFrom"]["secretKeyRef"]["name"] for item in container["env"] if "valueFrom" in item} >= {"789"}


def test_team_with_a_repository_has_a_bundle() -> None:
    assert json.loads(read_airflow_cfg(TWO_TEAMS)["dag_processor"]["dag_bundle_config_list"]) == [
        {
            "name": "alpha",
            "classpath": "kpo_platform.airflow.bundles.git.TeamGitDagBundle",
            "kwargs": {
                "repo_url": "https://git.example/alpha.git",
                "tracking_ref": "main",
                "subdir": "dags",
                "refresh_interval": 30,
            },
        }
    ]


def test_percent_sign_in_a_repository_url_is_doubled() -> None:
    values = {"teams": {"alpha": {"dags": {"repo": "https://git.example/a%20b.git"}}}}
    assert "a%%20b.git" in read_airflow_cfg(values)["dag_processor"]["dag_bundle_config_list"]


def test_new_team_restarts_the_dag_processor_only() -> None:
    assert list_restarted_components(TWO_TEAMS, THREE_TEAMS) == {"dag-processor"}


def test_changed_team_without_new_repository_restarts_nothing() -> None:
    after = deepcopy(TWO_TEAMS)
    after["teams"]["alpha"] |= {"defaultSize": "large", "env": [{"name": "STAGE", "value": "test"}]}
    assert list_restarted_components(TWO_TEAMS, after) == set()


def test_changed_setting_restarts_airflow_but_not_its_database() -> None:
    after = {"config": {"core": {"parallelism": 4}}}
    assert list_restarted_components({}, after) == {"api-server", "dag-processor", "scheduler", "triggerer"}


@pytest.mark.parametrize(
    ("values", "runs_again"),
    [
        ({"images": {"airflow": {"tag": "3.3.3"}}}, True),
        ({"config": {"database": {"sql_alchemy_pool_size": 10}}}, True),
        (TWO_TEAMS, False),
        ({"config": {"logging": {"logging_level": "DEBUG"}}}, False),
    ],
)
def test_migration_job_runs_again_after_relevant_changes(values: Object, runs_again: bool) -> None:
    def job_names(values: Object) -> set[str]:
        names = {item["metadata"]["name"] for item in render(values) if item["kind"] == "Job"}
        return {name for name in names if "migration" in name}

    assert (job_names(values) != job_names({})) is runs_again


def test_log_servers_have_stable_host_names() -> None:
    objects = render()
    for component, port in (("scheduler", 8793), ("triggerer", 8794)):
        workload = find_object(objects, "StatefulSet", f"airflow-{component}")
        service = find_object(objects, "Service", workload["spec"]["serviceName"])
        assert service["spec"] == {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": workload["spec"]["selector"]["matchLabels"],
            "ports": [{"name": "logs", "port": port, "targetPort": "logs"}],
        }
        assert [claim["metadata"]["name"] for claim in workload["spec"]["volumeClaimTemplates"]] == ["logs"]


def test_external_database_removes_the_embedded_one() -> None:
    objects = render({"postgresql": {"enabled": False}, "data": {"metadataSecretName": "my-database"}})
    assert [item["metadata"]["name"] for item in objects if "postgresql" in item["metadata"]["name"]] == []


def test_only_task_runners_read_environment_connections() -> None:
    teams = {
        "alpha": {"connection": {"via": "env", "id": "k8s_env"}},
        "beta": {"connection": {"via": "env", "id": "k8s_env"}},
        "gamma": {},
    }
    variables = {
        item["metadata"]["name"]: [entry for entry in container["env"] if entry["name"].startswith("AIRFLOW_CONN_")]
        for item in render({"teams": teams})
        if item["kind"] in ("StatefulSet", "Deployment")
        for container in item["spec"]["template"]["spec"]["containers"]
    }
    key = "AIRFLOW_CONN_K8S_ENV"
    reference = {"secretKeyRef": {"name": "airflow-connections", "key": key, "optional": True}}
    assert {name: env for name, env in variables.items() if env} == {
        "airflow-scheduler": [{"name": key, "valueFrom": reference}],
        "airflow-triggerer": [{"name": key, "valueFrom": reference}],
    }
