"""bootstrap.connections.env_secret and pod_env: connections in the environment of Airflow's pods."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kpo_platform.bootstrap.connections import pod_env
from kpo_platform.bootstrap.connections.env_secret import check_usage
from kpo_platform.bootstrap.model import LiveConnectionsSecret, LiveState
from unit.support.contracts import build_contract
from unit.support.platform_server import WRITTEN
from unit.support.platformctl import Cluster, CommandResult, Platformctl

NAME, SECRET = "AIRFLOW_CONN_K8S_DEFAULT", "airflow-connections"
BEFORE, AFTER = "2026-06-01T09:59:59Z", "2026-06-01T10:00:01Z"
CONTRACT = "/api/v1/namespaces/airflow/configmaps/airflow-contract"
PODS = "/api/v1/namespaces/airflow/pods"
SEEN = "type kubernetes, in cluster, XCom sidecar registry.test/alpine:3"
RELEASE_LABELS = {"app.kubernetes.io/instance": "airflow"}
FROM_SECRET = {"env": [{"name": NAME, "valueFrom": {"secretKeyRef": {"name": SECRET, "key": NAME, "optional": True}}}]}
ALL_KEYS = {"envFrom": [{"configMapRef": {"name": "more"}}, {"secretRef": {"name": SECRET}}]}
LITERAL = {"env": [{"name": NAME, "value": "{}"}, {"name": "HOME", "value": "/"}]}
NO_POD = (
    f"no Airflow pod has {NAME} yet. Set it "
    f"from Secret airflow/{SECRET} in the pods that run tasks and in the triggerer"
)


def pod(name: str, container: dict[str, Any], started: str = "", **more: Any) -> dict[str, Any]:
    """Build an Airflow pod with an account that may start teams' pods. Its container runs if a start time is given."""
    state = {"running": {"startedAt": started}} if started else {"waiting": {}}
    return {
        "metadata": {"name": name, **more},
        "spec": {"serviceAccountName": "airflow-scheduler", "containers": [{"name": "base", **container}]},
        "status": {"phase": "Running", "containerStatuses": [{"name": "base", "state": state}]},
    }


def with_other_account(original: dict[str, Any]) -> dict[str, Any]:
    """Return the pod with an account that may not start teams' pods."""
    return {**original, "spec": {**original["spec"], "serviceAccountName": "other"}}


def with_finished_phase(original: dict[str, Any]) -> dict[str, Any]:
    """Return the pod after its container has ended."""
    return {**original, "status": {"phase": "Succeeded"}}


def secret(*managed: tuple[str, str]) -> dict[str, Any]:
    """Build the Secret with a managed-fields entry for each key and time."""
    fields = [{"time": time, "fieldsV1": {"f:data": {".": {}, f"f:{key}": {}}}} for key, time in managed]
    return {"metadata": {"creationTimestamp": BEFORE, "managedFields": fields}, "data": {NAME: "", "OTHER": ""}}


def check_pods(*pods: dict[str, Any]) -> tuple[bool, str]:
    full = build_contract()
    connections_secret = LiveConnectionsSecret({NAME: "{}"}, {}, "7", pod_env.read_write_times(secret((NAME, WRITTEN))))
    variables = pod_env.find_connection_variables(
        pod_env.select_airflow_pods(pods, full), SECRET, connections_secret.values
    )
    return check_usage(
        full, "k8s_default", LiveState(connections_secret=connections_secret, connection_variables=variables)
    )


@pytest.mark.parametrize("container", [FROM_SECRET, ALL_KEYS])
@pytest.mark.parametrize("more", [{}, {"labels": RELEASE_LABELS}])
def test_pod_started_after_the_write_has_the_connection(container: dict[str, Any], more: dict[str, Any]):
    airflow_pod = pod("a-0", container, AFTER, **more)
    assert check_pods(airflow_pod) == (True, f"in the environment of a-0, from Secret airflow/{SECRET}")


@pytest.mark.parametrize("container", [FROM_SECRET, ALL_KEYS])
@pytest.mark.parametrize("started", [BEFORE, WRITTEN])
def test_pod_started_before_the_write_is_named_with_the_fix(container: dict[str, Any], started: str):
    pods = (pod("a-0", container, AFTER), pod("c-0", container, started), pod("b-0", container, started))
    assert check_pods(*pods) == (
        False,
        f"Secret airflow/{SECRET} was written at 2026-06-01T10:00:00Z, after the start of b-0, c-0. "
        "Restart with: kubectl -n airflow delete pod b-0 c-0",
    )


@pytest.mark.parametrize(
    "ignored_pod",
    [
        pod("without", {}, AFTER),
        with_other_account(pod("of-others", FROM_SECRET, AFTER)),
        with_finished_phase(pod("over", FROM_SECRET, AFTER)),
        pod("ending", FROM_SECRET, AFTER, deletionTimestamp=AFTER),
        pod("of-one-task", FROM_SECRET, AFTER, labels={"kubernetes_executor": "True"}),
        pod("another-secret", {"envFrom": [{"secretRef": {"name": "more"}}]}, AFTER),
        pod("renamed", {"envFrom": [{"prefix": "MY_", "secretRef": {"name": SECRET}}]}, AFTER),
    ],
)
def test_pod_without_variable_or_short_lived_is_ignored(ignored_pod: dict[str, Any]):
    assert check_pods(ignored_pod) == (False, NO_POD)


def test_pod_of_the_release_is_found_without_its_account():
    airflow_pod = with_other_account(pod("a-0", FROM_SECRET, AFTER, labels=RELEASE_LABELS))
    assert check_pods(airflow_pod) == (True, f"in the environment of a-0, from Secret airflow/{SECRET}")


@pytest.mark.parametrize("container", [LITERAL, {**ALL_KEYS, **LITERAL}])
def test_pod_with_a_variable_from_another_source_is_named(container: dict[str, Any]):
    assert check_pods(pod("a-0", container, AFTER)) == (
        False,
        f"{NAME} of a-0 does not come from Secret airflow/{SECRET}. Set it from that Secret",
    )


def test_pod_that_is_not_running_does_not_count():
    waiting = pod("a-0", FROM_SECRET)
    assert check_pods(waiting) == (False, f"no Airflow pod with {NAME} is running yet: a-0. Run again when one is")
    assert check_pods(waiting, pod("b-0", FROM_SECRET, AFTER))[0] is True


def test_write_time_is_that_of_the_last_field_manager():
    write_times = pod_env.read_write_times(secret((NAME, WRITTEN), (NAME, AFTER), ("GONE", AFTER)))
    formatted = {key: time.isoformat().replace("+00:00", "Z") for key, time in write_times.items()}
    assert formatted == {NAME: AFTER, "OTHER": BEFORE}


def set_via_env(cluster: Cluster) -> None:
    """Set connection.via to env in the contract."""
    content = cluster.platform.objects[CONTRACT]["data"]
    content["contract.json"] = content["contract.json"].replace('"via": "api"', '"via": "env"')


def get_last_line(result: CommandResult) -> tuple[int, str]:
    return result.code, result.out.splitlines()[-1]


def test_evidence_changes_when_the_pods_restart(platformctl: Platformctl, cluster: Cluster):
    set_via_env(cluster)
    words = (*cluster.bootstrap, "--yes", "--team", "beta")
    cluster.platform.objects[f"{PODS}/a-0"] = pod("a-0", FROM_SECRET, BEFORE)
    stale = (
        f"{SEEN}; Secret airflow/{SECRET} was written at {WRITTEN}, after the start of a-0. "
        "Restart with: kubectl -n airflow delete pod a-0"
    )
    assert get_last_line(platformctl(*words)) == (1, f"✗ Connection k8s_default: {stale}")
    cluster.platform.objects[f"{PODS}/a-0"] = pod("a-0", FROM_SECRET, AFTER)
    current = f"{SEEN}; in the environment of a-0, from Secret airflow/{SECRET}"
    assert get_last_line(platformctl(*words)) == (0, f"✔ Connection k8s_default: {current}")


@pytest.mark.parametrize("container", [FROM_SECRET, ALL_KEYS])
def test_variable_of_any_airflow_pod_blocks_an_api_connection(
    platformctl: Platformctl, cluster: Cluster, container: dict[str, Any]
):
    secrets = "/api/v1/namespaces/airflow/secrets"
    kept = {"metadata": {**secret()["metadata"], "resourceVersion": "1"}, "data": {NAME: ""}}
    cluster.platform.objects[f"{secrets}/{SECRET}"] = kept
    cluster.platform.objects[f"{PODS}/a-0"] = pod("a-0", container, AFTER)
    result = platformctl(*cluster.bootstrap, "--dry-run", "--team", "beta", "-o", "json")
    actions = json.loads(result.out)["actions"]
    blocked = [action["note"] for action in actions if action["action"] == "blocked"]
    assert (result.code, len(blocked)) == (1, 1)
    assert blocked[0].startswith(f"Airflow's pods have {NAME} in their environment, which overrides Airflow's database")
