"""The three executors: workloads, rights, secrets and logs."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from chart.objects import (
    assert_restricted,
    list_restarted_components,
    list_secret_names,
    read_airflow_cfg,
    read_env,
    read_generated_secrets,
)
from chart.rendering import (
    TWO_TEAMS,
    Object,
    find_object,
    list_containers,
    load_role,
    map_pods_by_component,
    render,
    render_errors,
    validate,
)

CELERY: Object = {"executor": "CeleryExecutor", **TWO_TEAMS}
KUBERNETES_EXECUTOR: Object = {
    "executor": "KubernetesExecutor",
    "logs": {"persistence": {"existingClaim": "logs"}},
    **TWO_TEAMS,
}
BROKER = {"secretKeyRef": {"name": "airflow-broker", "key": "connection"}}
KEYS = ("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "AIRFLOW__CORE__FERNET_KEY", "AIRFLOW__API_AUTH__JWT_SECRET")


def read_task_pod(values: Object = KUBERNETES_EXECUTOR) -> Object:
    """Return the validated pod template of KubernetesExecutor."""
    pod: Object = yaml.safe_load(find_object(render(values), "ConfigMap", "airflow-config")["data"]["task-pod.yaml"])
    named_pod = {**pod, "metadata": {**pod["metadata"], "name": "task"}}
    validate(named_pod)
    return pod


def read_environment(values: Object, component: str) -> dict[str, Any]:
    return read_env(map_pods_by_component(render(values))[component]["spec"]["containers"][0])


def list_launcher_accounts(values: Object) -> list[str]:
    subjects = find_object(render(values), "RoleBinding", "pod-launcher", "team-alpha")["subjects"]
    return [subject["name"] for subject in subjects]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (TWO_TEAMS, ["airflow-scheduler", "airflow-triggerer"]),
        (CELERY, ["airflow-worker", "airflow-triggerer"]),
        (KUBERNETES_EXECUTOR, ["airflow-worker", "airflow-triggerer"]),
    ],
)
def test_only_task_runners_and_triggerer_may_start_team_pods(values: Object, expected: list[str]) -> None:
    assert list_launcher_accounts(values) == expected
    published = json.loads(find_object(render(values), "ConfigMap", "airflow-contract")["data"]["contract.json"])
    assert [account["name"] for account in published["airflow"]["serviceAccounts"]] == expected


def test_worker_has_no_database_access() -> None:
    assert not set(read_environment(CELERY, "worker")) & set(KEYS)
    assert list_secret_names([find_object(render(CELERY), "StatefulSet", "airflow-worker")]) == {
        "airflow-api-secret-key",  # signs requests for logs
        "airflow-broker",
    }


def test_scheduler_and_workers_use_the_broker_as_result_backend() -> None:
    for component in ("scheduler", "worker"):
        env = read_environment(CELERY, component)
        assert {key: value for key, value in env.items() if "CELERY" in key} == {
            "AIRFLOW__CELERY__BROKER_URL": BROKER,
            "AIRFLOW__CELERY__RESULT_BACKEND": BROKER,
        }
    for component in ("api-server", "dag-processor", "triggerer"):
        assert not [key for key in read_environment(CELERY, component) if "CELERY" in key]


def test_external_broker_replaces_the_embedded_one() -> None:
    values = {**CELERY, "redis": {"enabled": False}, "data": {"brokerUrlSecretName": "my-broker"}}
    objects = render(values)
    assert [item["metadata"]["name"] for item in objects if "redis" in item["metadata"]["name"]] == []
    assert read_environment(values, "worker")["AIRFLOW__CELERY__BROKER_URL"]["secretKeyRef"]["name"] == "my-broker"
    assert "broker" not in read_generated_secrets(values)


def test_broker_password_is_generated_and_read_from_a_file() -> None:
    assert read_generated_secrets(CELERY)["broker"] == "airflow-broker"
    assert "broker" not in read_generated_secrets(TWO_TEAMS)
    (container,) = map_pods_by_component(render(CELERY))["redis"]["spec"]["containers"]
    assert container["command"] == ["sh", "/opt/kpo-platform/scripts/start.sh"]
    assert "env" not in container and "args" not in container


def test_worker_keeps_its_host_name_and_its_logs() -> None:
    objects = render(CELERY)
    workload = find_object(objects, "StatefulSet", "airflow-worker")
    service = find_object(objects, "Service", workload["spec"]["serviceName"])
    assert (service["spec"]["clusterIP"], service["spec"]["ports"]) == (
        "None",
        [{"name": "logs", "port": 8793, "targetPort": "logs"}],
    )
    assert [claim["metadata"]["name"] for claim in workload["spec"]["volumeClaimTemplates"]] == ["logs"]


def test_two_workers_have_a_disruption_budget() -> None:
    budgets = [
        item["metadata"]["name"]
        for item in render({**CELERY, "workers": {"replicas": 2}})
        if item["kind"] == "PodDisruptionBudget"
    ]
    assert budgets == ["airflow-worker"]


def test_new_team_restarts_no_worker() -> None:
    more = {**CELERY, "teams": {**CELERY["teams"], "gamma": {"dags": {"repo": "https://git.example/gamma.git"}}}}
    assert list_restarted_components(CELERY, more) == {"dag-processor"}


def test_task_pod_is_restricted_and_refers_to_no_secret() -> None:
    pod = read_task_pod()
    assert_restricted(pod)
    without_token = json.dumps(pod["spec"]).replace("/var/run/secrets/kubernetes.io/serviceaccount", "")
    assert "secret" not in without_token.lower()
    assert [container["name"] for container in list_containers(pod)] == ["base"]
    assert (pod["spec"]["restartPolicy"], pod["spec"]["serviceAccountName"]) == ("Never", "airflow-worker")


def test_task_pod_has_the_mounts_of_the_scheduler() -> None:
    (task,) = read_task_pod()["spec"]["containers"]
    (scheduler,) = map_pods_by_component(render(KUBERNETES_EXECUTOR))["scheduler"]["spec"]["containers"]
    assert task["volumeMounts"] == scheduler["volumeMounts"]
    assert {volume["name"] for volume in read_task_pod()["spec"]["volumes"]} == {
        mount["name"] for mount in task["volumeMounts"]
    }


def test_task_pod_clones_the_shared_repository_once() -> None:
    shared = {"gitSync": {"enabled": True, "repo": "https://git.example/all.git"}}
    (sidecar,) = read_task_pod({**KUBERNETES_EXECUTOR, "dags": shared})["spec"]["initContainers"]
    assert (sidecar["name"], sidecar["args"]) == ("git-sync", ["--one-time"])
    assert not {"restartPolicy", "startupProbe", "ports"} & sidecar.keys()


def test_environment_connections_reach_task_runners_only() -> None:
    team = {"teams": {"alpha": {"connection": {"via": "env", "id": "k8s_env"}}}}
    name = "AIRFLOW_CONN_K8S_ENV"
    celery = {**CELERY, **team}
    assert [name in read_environment(celery, component) for component in ("scheduler", "worker", "triggerer")] == [
        False,
        True,
        True,
    ]
    (task,) = read_task_pod({**KUBERNETES_EXECUTOR, **team})["spec"]["containers"]
    assert name in read_env(task)


def test_scheduler_may_start_task_pods_in_the_release_namespace() -> None:
    objects = render(KUBERNETES_EXECUTOR)
    assert find_object(objects, "Role", "airflow-worker-launcher")["rules"] == load_role("worker-launcher")["rules"]
    assert find_object(objects, "RoleBinding", "airflow-worker-launcher")["subjects"] == [
        {"kind": "ServiceAccount", "name": "airflow-scheduler", "namespace": "airflow"}
    ]
    assert read_airflow_cfg(KUBERNETES_EXECUTOR)["kubernetes_executor"] == {
        "namespace": "airflow",
        "pod_template_file": "/opt/kpo-platform/config/task-pod.yaml",
    }


@pytest.mark.parametrize("values", [TWO_TEAMS, CELERY])
def test_other_executors_start_no_pods_in_the_release_namespace(values: Object) -> None:
    roles = [item["metadata"]["name"] for item in render(values) if item["kind"] == "Role"]
    assert "airflow-worker-launcher" not in roles
    assert "kubernetes_executor" not in read_airflow_cfg(values)


@pytest.mark.parametrize("executor", ["LocalExecutor", "CeleryExecutor", "KubernetesExecutor"])
def test_shared_log_volume_is_mounted_by_all_components(executor: str) -> None:
    objects = render({**KUBERNETES_EXECUTOR, "executor": executor})
    stateful = {item["metadata"]["name"] for item in objects if item["kind"] == "StatefulSet"}
    shared = ["airflow-scheduler", "airflow-triggerer", *(["airflow-worker"] if executor == "CeleryExecutor" else [])]
    assert stateful <= {"airflow-postgresql", "airflow-redis"}
    for name in ["airflow-api-server", *shared]:
        spec = find_object(objects, "Deployment", name)["spec"]["template"]["spec"]
        assert {"name": "logs", "persistentVolumeClaim": {"claimName": "logs"}} in spec["volumes"]
        assert {"name": "logs", "mountPath": "/opt/airflow/logs"} in spec["containers"][0]["volumeMounts"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"executor": "CeleryExecutor", "redis": {"enabled": False}},
            "executor is CeleryExecutor: redis.enabled is false and no external broker is configured. Name a Secret "
            "with the key `connection` in data.brokerUrlSecretName.",
        ),
        (
            {"executor": "CeleryExecutor", "data": {"brokerUrlSecretName": "my-broker"}},
            "data.brokerUrlSecretName is set: the embedded broker is enabled too. Set redis.enabled to false.",
        ),
        (
            {"executor": "KubernetesExecutor"},
            "executor is KubernetesExecutor: a task's log would be deleted with its pod. Name a volume in "
            "logs.persistence.existingClaim, or set config.logging.remote_logging to true or false.",
        ),
    ],
)
def test_incomplete_executor_is_refused(values: Object, message: str) -> None:
    assert render_errors(values) == [f"ERROR: {message}"]


def test_remote_logs_need_no_volume() -> None:
    values = {"executor": "KubernetesExecutor", "config": {"logging": {"remote_logging": True}}}
    assert {"name": "logs", "emptyDir": {}} in read_task_pod(values)["spec"]["volumes"]
