"""The team layer alone, as a second release beside an Airflow that it did not install.

That Airflow is played by one pod under an account of its own: it gets nothing but what the release's notes say, and
runs an operator as a worker would.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from common.command import CommandError, capture_output
from stack.release import CHART, NAMESPACE, VALUES, Stack

RELEASE = "beside"
HOME = "beside"
ACCOUNT = "their-worker"
TEAMS = ("near", "far")
WORKER = {
    "runAsNonRoot": True,
    "runAsUser": 50000,
    "seccompProfile": {"type": "RuntimeDefault"},
}

TASK = """
import json
from airflow.sdk import DAG
from kpo_platform import TeamPodOperator

class Instance:
    dag_id, task_id, run_id, try_number, map_index = "beside", "hello", "manual", 1, -1
    def xcom_push(self, key, value): pass

say = 'echo "{\\\\"pod\\\\": \\\\"$HOSTNAME\\\\"}" > /airflow/xcom/return.json'
dag = DAG("beside", schedule=None)
task = TeamPodOperator(dag=dag, task_id="hello", team="near", image="busybox:1.35", cmds=["sh", "-c"], arguments=[say],
                       do_xcom_push=True, deferrable=False, on_finish_action="keep_pod")
ti = Instance()
result = task.execute({"ti": ti, "task_instance": ti, "task": task, "dag": dag, "run_id": "manual"})
print("RESULT", json.dumps({"xcom": result, "pool": task.pool}))
"""


def values() -> dict[str, Any]:
    """The values of the second release: images of the local cluster, two teams, and somebody else's account."""
    local = yaml.safe_load(VALUES.read_text())
    return {
        "images": local["images"],
        "teamDefaults": {"images": local["teamDefaults"]["images"], "connection": {"via": "env"}},
        "airflow": {"enabled": False, "serviceAccounts": [{"namespace": HOME, "name": ACCOUNT}]},
        "rbac": {"scope": "cluster"},  # the tests of the first release are about the other scope
        "teams": {name: {} for name in TEAMS},
    }


def remove(stack: Stack) -> None:
    """Take away the second release and everything that a release leaves behind."""
    if json.loads(capture_output([stack.programs / "helm", "list", "-n", HOME, "-o", "json"], env=stack.environment)):
        stack.helm(["uninstall", RELEASE, "--namespace", HOME, "--wait"], lambda _: None, timeout_s=120)
    namespaces = [HOME, *(f"team-{name}" for name in TEAMS)]
    stack.kubectl("delete", "namespace", *namespaces, "--ignore-not-found", timeout_s=120)


@pytest.fixture(scope="module")
def release(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The second release; gives what its notes tell to add to Airflow's pods."""
    remove(stack)
    file = tmp_path_factory.mktemp("beside") / "values.json"
    file.write_text(json.dumps(values()))
    try:
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        home = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": HOME, "labels": labels}}
        stack.kubectl("apply", "-f", "-", stdin=json.dumps(home))
        stack.kubectl("create", "serviceaccount", ACCOUNT, "-n", HOME)
        words: list[str | Path] = ["install", RELEASE, CHART, "--namespace", HOME, "--values", file, "--wait"]
        stack.helm(words, lambda _: None, timeout_s=120)
        notes = capture_output([stack.programs / "helm", "get", "notes", RELEASE, "-n", HOME], env=stack.environment)
        yield yaml.safe_load(notes[notes.index("env:\n") : notes.index("Import the teams' pools")])
    finally:
        remove(stack)


def worker(extra: dict[str, Any]) -> dict[str, Any]:
    """A pod of the Airflow that is there already, with what the notes say and the connection that it brings itself."""
    airflow = values()["images"]["airflow"]
    connection = {"conn_type": "kubernetes", "extra": {"in_cluster": True, **sidecar()}}
    container = {
        "name": "worker",
        "image": f"{airflow['repository']}:{airflow['tag']}",
        "args": ["python", "-c", TASK],
        "env": [
            {"name": "CONNECTION_CHECK_MAX_COUNT", "value": "0"},
            {"name": "AIRFLOW_CONN_K8S_DEFAULT", "value": json.dumps(connection)},
            *extra["env"],
        ],
        "volumeMounts": extra["volumeMounts"],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    spec = {
        "serviceAccountName": ACCOUNT,
        "restartPolicy": "Never",
        "securityContext": WORKER,
        "containers": [container],
        "volumes": extra["volumes"],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "worker", "namespace": HOME}, "spec": spec}


def sidecar() -> dict[str, str]:
    """The extra of a connection that lets the stock XCom sidecar into a restricted namespace."""
    image = values()["images"]["xcomSidecar"]
    context = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    return {
        "xcom_sidecar_container_image": f"{image['repository']}:{image['tag']}",
        "xcom_sidecar_container_security_context": json.dumps(context),
    }


def refusal(stack: Stack, account: str, namespace: str) -> str:
    """What the API server says when an account wants to see the pods of a namespace."""
    with pytest.raises(CommandError) as error:
        stack.kubectl("get", "pods", "-n", namespace, f"--as=system:serviceaccount:{account}")
    return error.value.output


def test_their_worker_runs_a_team_s_pod_with_what_the_notes_say(stack: Stack, release: dict[str, Any]):
    before = stack.get("configmap", "airflow-contract", "-n", NAMESPACE)
    stack.kubectl("apply", "-f", "-", stdin=json.dumps(worker(release)))
    ended = "--for=jsonpath={.status.containerStatuses[0].state.terminated.reason}=Completed"
    try:
        stack.kubectl("wait", "pod/worker", "-n", HOME, ended, "--timeout=120s", timeout_s=130)
    finally:
        log = stack.kubectl("logs", "worker", "-n", HOME)
    result = json.loads(next(line for line in log.splitlines() if line.startswith("RESULT ")).removeprefix("RESULT "))
    (pod,) = stack.get("pods", "-n", "team-near")["items"]
    assert result == {"xcom": {"pod": pod["metadata"]["name"]}, "pool": "team-near"}
    assert (pod["spec"]["serviceAccountName"], pod["metadata"]["labels"]["kpo-platform/team"]) == ("team-pod", "near")
    assert stack.get("configmap", "airflow-contract", "-n", NAMESPACE) == before


def test_neither_release_s_airflow_reaches_the_other_s_teams(stack: Stack, release: dict[str, Any]):
    assert stack.kubectl("get", "pods", "-n", "team-near", f"--as=system:serviceaccount:{HOME}:{ACCOUNT}")
    assert "Forbidden" in refusal(stack, f"{HOME}:{ACCOUNT}", "team-alpha")
    assert "Forbidden" in refusal(stack, f"{NAMESPACE}:airflow-scheduler", "team-near")


def test_the_rules_stand_once_in_cluster_roles_that_are_bound_in_the_teams_namespaces_only(
    stack: Stack, release: dict[str, Any]
):
    (binding,) = stack.get("rolebindings", "-n", "team-near")["items"]
    assert binding["roleRef"]["name"] == f"{HOME}-{RELEASE}-pod-launcher"
    assert stack.get("roles", "-n", "team-near")["items"] == []
    bound = [item for item in stack.get("clusterrolebindings")["items"] if HOME in item["roleRef"]["name"]]
    assert bound == []


def test_helm_test_tries_the_second_release_s_teams(stack: Stack, release: dict[str, Any]):
    stack.helm(["test", RELEASE, "--namespace", HOME, "--timeout", "3m"], lambda _: None, timeout_s=190)
    said = stack.kubectl("logs", f"{RELEASE}-test", "-n", HOME).splitlines()
    assert sorted(line for line in said if line.startswith("team ")) == [
        "team far: its pod handed over its result, and its token was tried",
        "team near: its pod handed over its result, and its token was tried",
    ]


def test_what_the_release_leaves_are_the_namespaces(stack: Stack, release: dict[str, Any]):
    stack.helm(["uninstall", RELEASE, "--namespace", HOME, "--wait"], lambda _: None, timeout_s=120)
    assert [stack.get("namespace", f"team-{name}")["status"]["phase"] for name in TEAMS] == ["Active", "Active"]
    assert stack.get("rolebindings", "-n", "team-near")["items"] == []
    roles = [item["metadata"]["name"] for item in stack.get("clusterroles")["items"]]
    assert [name for name in roles if name.startswith(f"{HOME}-{RELEASE}-")] == []
