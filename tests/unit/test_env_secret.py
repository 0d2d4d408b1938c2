"""Whether Airflow's pods have a connection in their environment as it is in the Secret; they read it at their start."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kpo_platform.bootstrap.connections import pod_env
from kpo_platform.bootstrap.connections.env_secret import check_usage
from kpo_platform.bootstrap.model import LiveConnectionsSecret, LiveState
from unit.support.contracts import contract
from unit.support.platform_server import WRITTEN
from unit.support.platformctl import Cluster, CommandResult, Platformctl

NAME, SECRET = "AIRFLOW_CONN_K8S_DEFAULT", "airflow-connections"
BEFORE, AFTER = "2026-06-01T09:59:59Z", "2026-06-01T10:00:01Z"
CONTRACT = "/api/v1/namespaces/airflow/configmaps/airflow-contract"
PODS = "/api/v1/namespaces/airflow/pods"
SEEN = "type kubernetes, in cluster, XCom sidecar registry.test/alpine:3"
OURS = {"app.kubernetes.io/instance": "airflow"}
FROM_SECRET = {"env": [{"name": NAME, "valueFrom": {"secretKeyRef": {"name": SECRET, "key": NAME, "optional": True}}}]}
WHOLE_SECRET = {"envFrom": [{"configMapRef": {"name": "more"}}, {"secretRef": {"name": SECRET}}]}
LITERAL = {"env": [{"name": NAME, "value": "{}"}, {"name": "HOME", "value": "/"}]}
NOBODY = (
    f"no Airflow pod has {NAME} yet. Set it "
    f"from Secret airflow/{SECRET} in the pods that run tasks and in the triggerer"
)


def pod(name: str, container: dict[str, Any], started: str = "", **more: Any) -> dict[str, Any]:
    """A pod of an Airflow by an account that starts teams' pods; its container runs where it has started."""
    state = {"running": {"startedAt": started}} if started else {"waiting": {}}
    return {
        "metadata": {"name": name, **more},
        "spec": {"serviceAccountName": "airflow-scheduler", "containers": [{"name": "base", **container}]},
        "status": {"phase": "Running", "containerStatuses": [{"name": "base", "state": state}]},
    }


def foreign(found: dict[str, Any]) -> dict[str, Any]:
    """The same pod of somebody who starts no pods for teams."""
    return {**found, "spec": {**found["spec"], "serviceAccountName": "other"}}


def over(found: dict[str, Any]) -> dict[str, Any]:
    """The same pod, when its program has ended."""
    return {**found, "status": {"phase": "Succeeded"}}


def secret(*managed: tuple[str, str]) -> dict[str, Any]:
    """The Secret with the connection, and who wrote which key when."""
    fields = [{"time": time, "fieldsV1": {"f:data": {".": {}, f"f:{key}": {}}}} for key, time in managed]
    return {"metadata": {"creationTimestamp": BEFORE, "managedFields": fields}, "data": {NAME: "", "OTHER": ""}}


def judged(*pods: dict[str, Any]) -> tuple[bool, str]:
    whole = contract()
    connections_secret = LiveConnectionsSecret({NAME: "{}"}, {}, "7", pod_env.read_write_times(secret((NAME, WRITTEN))))
    found = pod_env.find_connection_variables(
        pod_env.select_airflow_pods(pods, whole), SECRET, connections_secret.values
    )
    return check_usage(
        whole, "k8s_default", LiveState(connections_secret=connections_secret, connection_variables=found)
    )


@pytest.mark.parametrize("container", [FROM_SECRET, WHOLE_SECRET])
@pytest.mark.parametrize("more", [{}, {"labels": OURS}])
def test_a_pod_that_started_after_the_secret_was_written_has_the_connection(
    container: dict[str, Any], more: dict[str, Any]
):
    found = pod("a-0", container, AFTER, **more)
    assert judged(found) == (True, f"in the environment of a-0, from Secret airflow/{SECRET}")


@pytest.mark.parametrize("container", [FROM_SECRET, WHOLE_SECRET])
@pytest.mark.parametrize("started", [BEFORE, WRITTEN])
def test_a_pod_that_started_before_has_not_and_is_named_with_what_to_do(container: dict[str, Any], started: str):
    pods = (pod("a-0", container, AFTER), pod("c-0", container, started), pod("b-0", container, started))
    assert judged(*pods) == (
        False,
        "written at 2026-06-01T10:00:00Z, after the start of b-0, c-0. "
        "Restart with: kubectl -n airflow delete pod b-0 c-0",
    )


@pytest.mark.parametrize(
    "found",
    [
        pod("without", {}, AFTER),
        foreign(pod("of-others", FROM_SECRET, AFTER)),
        over(pod("over", FROM_SECRET, AFTER)),
        pod("ending", FROM_SECRET, AFTER, deletionTimestamp=AFTER),
        pod("of-one-task", FROM_SECRET, AFTER, labels={"kubernetes_executor": "True"}),
        pod("another-secret", {"envFrom": [{"secretRef": {"name": "more"}}]}, AFTER),
        pod("renamed", {"envFrom": [{"prefix": "MY_", "secretRef": {"name": SECRET}}]}, AFTER),
    ],
)
def test_a_pod_that_does_not_have_it_or_does_not_stay_is_no_evidence(found: dict[str, Any]):
    assert judged(found) == (False, NOBODY)


def test_a_pod_of_the_release_is_known_without_its_account():
    found = foreign(pod("a-0", FROM_SECRET, AFTER, labels=OURS))
    assert judged(found) == (True, f"in the environment of a-0, from Secret airflow/{SECRET}")


@pytest.mark.parametrize("container", [LITERAL, {**WHOLE_SECRET, **LITERAL}])
def test_a_pod_that_has_it_from_elsewhere_is_named(container: dict[str, Any]):
    assert judged(pod("a-0", container, AFTER)) == (
        False,
        f"{NAME} of a-0 does not come from Secret airflow/{SECRET}. Set it from there",
    )


def test_a_pod_that_does_not_run_yet_is_no_evidence_alone():
    waiting = pod("a-0", FROM_SECRET)
    assert judged(waiting) == (False, f"no Airflow pod with {NAME} is running yet: a-0")
    assert judged(waiting, pod("b-0", FROM_SECRET, AFTER))[0] is True


def test_a_key_is_as_old_as_the_last_hand_that_wrote_it():
    noted = pod_env.read_write_times(secret((NAME, WRITTEN), (NAME, AFTER), ("GONE", AFTER)))
    shown = {key: time.isoformat().replace("+00:00", "Z") for key, time in noted.items()}
    assert shown == {NAME: AFTER, "OTHER": BEFORE}


def by_environment(cluster: Cluster) -> None:
    """Let the teams' connection go by the environment."""
    content = cluster.platform.objects[CONTRACT]["data"]
    content["contract.json"] = content["contract.json"].replace('"via": "api"', '"via": "env"')


def last(said: CommandResult) -> tuple[int, str]:
    return said.code, said.out.splitlines()[-1]


def test_the_evidence_of_a_run_is_that_of_the_pods_before_and_after_a_restart(
    platformctl: Platformctl, cluster: Cluster
):
    by_environment(cluster)
    words = (*cluster.bootstrap, "--yes", "--team", "beta")
    cluster.platform.objects[f"{PODS}/a-0"] = pod("a-0", FROM_SECRET, BEFORE)
    stale = f"{SEEN}; written at {WRITTEN}, after the start of a-0. Restart with: kubectl -n airflow delete pod a-0"
    assert last(platformctl(*words)) == (1, f"✗ Connection k8s_default: {stale}")
    cluster.platform.objects[f"{PODS}/a-0"] = pod("a-0", FROM_SECRET, AFTER)
    fresh = f"{SEEN}; in the environment of a-0, from Secret airflow/{SECRET}"
    assert last(platformctl(*words)) == (0, f"✔ Connection k8s_default: {fresh}")


@pytest.mark.parametrize("container", [FROM_SECRET, WHOLE_SECRET])
def test_a_connection_of_any_airflows_pods_is_a_conflict_with_one_over_the_api(
    platformctl: Platformctl, cluster: Cluster, container: dict[str, Any]
):
    secrets = "/api/v1/namespaces/airflow/secrets"
    kept = {"metadata": {**secret()["metadata"], "resourceVersion": "1"}, "data": {NAME: ""}}
    cluster.platform.objects[f"{secrets}/{SECRET}"] = kept
    cluster.platform.objects[f"{PODS}/a-0"] = pod("a-0", container, AFTER)
    said = platformctl(*cluster.bootstrap, "--dry-run", "--team", "beta", "-o", "json")
    blocked = [each["note"] for each in json.loads(said.out)["actions"] if each["action"] == "blocked"]
    assert (said.code, len(blocked)) == (1, 1)
    assert blocked[0].startswith(f"Airflow's pods have {NAME} in their environment, which overrides Airflow's database")
