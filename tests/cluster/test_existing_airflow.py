"""The team layer as a second release, for an Airflow that it does not install.

A pod with an account of its own acts as that Airflow: it gets only what the release's notes say, and runs an operator
as a worker would. A second pod runs all components of an Airflow with the same additions.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from cluster.support.isolation.existing_airflow import BUNDLE, LOGS, NAME, build_objects, run_program, wait_for_tasks
from common.command import CommandError, capture_output
from images.recipes import AIRFLOW
from stack.release import NAMESPACE, VALUES, Stack
from stack.team_release import install_team_release

RELEASE = RELEASE_NAMESPACE = "beside"
SIDECAR_IMAGE = yaml.safe_load(VALUES.read_text())["images"]["xcomSidecar"]
WORKER_ACCOUNT = "their-worker"
TEAMS = ("near", "far")
RELEASE_VALUES: dict[str, Any] = {
    "airflow": {"enabled": False, "serviceAccounts": [{"namespace": RELEASE_NAMESPACE, "name": WORKER_ACCOUNT}]},
    "rbac": {"scope": "cluster"},  # tests of the first release use the other scope
    "isolation": {"bundles": {BUNDLE: "near"}},
    "teams": {name: {} for name in TEAMS},
}
POD_SECURITY = {
    "runAsNonRoot": True,
    "runAsUser": 50000,
    "seccompProfile": {"type": "RuntimeDefault"},
}

TASK = """
import json
from airflow.sdk import DAG
from kpo_platform import TeamPodOperator

class Instance:
    id, dag_id, task_id, run_id, try_number, map_index = "its-id", "beside", "hello", "manual", 1, -1
    def xcom_push(self, key, value): pass

say = 'echo "{\\\\"pod\\\\": \\\\"$HOSTNAME\\\\"}" > /airflow/xcom/return.json'
dag = DAG("beside", schedule=None)
task = TeamPodOperator(dag=dag, task_id="hello", team="near", image="busybox:1.35", cmds=["sh", "-c"], arguments=[say],
                       do_xcom_push=True, deferrable=False, on_finish_action="keep_pod")
ti = Instance()
result = task.execute({"ti": ti, "task_instance": ti, "task": task, "dag": dag, "run_id": "manual"})
print("RESULT", json.dumps({"xcom": result, "pool": task.pool}))
"""


@pytest.fixture(scope="module")
def release(stack: Stack) -> Iterator[dict[str, Any]]:
    """The second release; yields what its notes add to Airflow's pods."""
    with install_team_release(stack, RELEASE, RELEASE_VALUES):
        stack.kubectl("create", "serviceaccount", WORKER_ACCOUNT, "-n", RELEASE_NAMESPACE)
        command = [stack.programs / "helm", "get", "notes", RELEASE, "-n", RELEASE_NAMESPACE]
        notes = capture_output(command, env=stack.environment)
        yield yaml.safe_load(notes[notes.index("env:\n") : notes.index("Import the teams' pools")])


@pytest.fixture(scope="module")
def task_states(stack: Stack, release: dict[str, Any]) -> Iterator[dict[str, str]]:
    """An Airflow with the additions of the notes; yields the states of its tasks."""
    items = build_objects(RELEASE_NAMESPACE, release, WORKER_ACCOUNT, build_connection())
    objects = {"apiVersion": "v1", "kind": "List", "items": items}
    try:
        stack.kubectl("apply", "-f", "-", stdin=json.dumps(objects))
        yield wait_for_tasks(stack, RELEASE_NAMESPACE)
    finally:
        stack.kubectl("delete", "pod", NAME, "-n", RELEASE_NAMESPACE, "--ignore-not-found", timeout_s=120)


def worker_pod(extra: dict[str, Any]) -> dict[str, Any]:
    """Return a pod of the existing Airflow with the additions of the notes and its own connection."""
    container = {
        "name": "worker",
        "image": AIRFLOW.reference,
        "args": ["python", "-c", TASK],
        "env": [
            {"name": "CONNECTION_CHECK_MAX_COUNT", "value": "0"},
            {"name": "AIRFLOW_CONN_K8S_DEFAULT", "value": json.dumps(build_connection())},
            *extra["env"],
        ],
        "volumeMounts": extra["volumeMounts"],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    spec = {
        "serviceAccountName": WORKER_ACCOUNT,
        "restartPolicy": "Never",
        "securityContext": POD_SECURITY,
        "containers": [container],
        "volumes": extra["volumes"],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "worker", "namespace": RELEASE_NAMESPACE},
        "spec": spec,
    }


def build_connection() -> dict[str, Any]:
    """Return the teams' connection, whose XCom sidecar conforms to a restricted namespace."""
    context = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    sidecar = {
        "xcom_sidecar_container_image": f"{SIDECAR_IMAGE['repository']}:{SIDECAR_IMAGE['tag']}",
        "xcom_sidecar_container_security_context": json.dumps(context),
    }
    return {"conn_type": "kubernetes", "extra": {"in_cluster": True, **sidecar}}


def read_refusal(stack: Stack, account: str, namespace: str) -> str:
    """Return the API server's error when an account lists the pods of a namespace."""
    with pytest.raises(CommandError) as error:
        stack.kubectl("get", "pods", "-n", namespace, f"--as=system:serviceaccount:{account}")
    return error.value.output


def test_existing_worker_runs_a_team_pod_with_the_notes(stack: Stack, release: dict[str, Any]):
    before = stack.get("configmap", "airflow-contract", "-n", NAMESPACE)
    stack.kubectl("apply", "-f", "-", stdin=json.dumps(worker_pod(release)))
    condition = "--for=jsonpath={.status.containerStatuses[0].state.terminated.reason}=Completed"
    try:
        stack.kubectl("wait", "pod/worker", "-n", RELEASE_NAMESPACE, condition, "--timeout=120s", timeout_s=130)
    finally:
        log = stack.kubectl("logs", "worker", "-n", RELEASE_NAMESPACE)
    result = json.loads(next(line for line in log.splitlines() if line.startswith("RESULT ")).removeprefix("RESULT "))
    (pod,) = stack.get("pods", "-n", "team-near")["items"]
    assert result == {"xcom": {"pod": pod["metadata"]["name"]}, "pool": "team-near"}
    assert (pod["spec"]["serviceAccountName"], pod["metadata"]["labels"]["kpo-platform/team"]) == ("team-pod", "near")
    assert stack.get("configmap", "airflow-contract", "-n", NAMESPACE) == before


def test_each_airflow_has_no_access_to_the_other_teams(stack: Stack, release: dict[str, Any]):
    assert stack.kubectl(
        "get", "pods", "-n", "team-near", f"--as=system:serviceaccount:{RELEASE_NAMESPACE}:{WORKER_ACCOUNT}"
    )
    assert "Forbidden" in read_refusal(stack, f"{RELEASE_NAMESPACE}:{WORKER_ACCOUNT}", "team-alpha")
    assert "Forbidden" in read_refusal(stack, f"{NAMESPACE}:airflow-scheduler", "team-near")


def test_cluster_roles_are_bound_only_in_team_namespaces(stack: Stack, release: dict[str, Any]):
    (binding,) = stack.get("rolebindings", "-n", "team-near")["items"]
    assert binding["roleRef"]["name"] == f"{RELEASE_NAMESPACE}-{RELEASE}-pod-launcher"
    assert stack.get("roles", "-n", "team-near")["items"] == []
    cluster_bindings = [
        item for item in stack.get("clusterrolebindings")["items"] if RELEASE_NAMESPACE in item["roleRef"]["name"]
    ]
    assert cluster_bindings == []


def read_log(stack: Stack, task: str) -> str:
    return run_program(stack, RELEASE_NAMESPACE, "bash", "-c", f"cat {LOGS}/dag_id=existing/*/task_id={task}/*.log")


def test_existing_airflow_refuses_another_team_s_variable(stack: Stack, task_states: dict[str, str]):
    assert (task_states["own"], task_states["other"]) == ("success", "failed"), read_log(stack, "own")
    log = read_log(stack, "other")
    assert (
        "Team 'near' cannot write variable 'far_key': it belongs to team 'far'. List it in isolation.shared.variables."
    ) in log
    values = [run_program(stack, RELEASE_NAMESPACE, "airflow", "variables", "get", f"{team}_key") for team in TEAMS]
    assert [value.splitlines()[-1] for value in values] == ["changed by near", "of far"]


def test_existing_airflow_refuses_a_function_as_trigger(stack: Stack, task_states: dict[str, str]):
    assert (task_states["wait"], task_states["function"]) == ("success", "failed")
    assert (
        "The triggerer refuses the trigger 'subprocess.getoutput': it is not in the list of allowed triggers. Ask the "
        "platform team to add the class and its arguments to triggerer.allow."
    ) in stack.kubectl("logs", NAME, "-n", RELEASE_NAMESPACE)
    assert run_program(stack, RELEASE_NAMESPACE, "bash", "-c", "ls /tmp/attack-of-a-trigger").strip() == ""


def test_restarted_task_of_the_existing_airflow_takes_up_its_pod(stack: Stack, task_states: dict[str, str]):
    log = run_program(stack, RELEASE_NAMESPACE, "bash", "-c", f"cat {LOGS}/dag_id=existing/*/task_id=pod/*.log")
    pods = stack.get("pods", "-n", "team-near", "-l", "dag_id=existing")["items"]
    assert (task_states["pod"], [pod["status"]["phase"] for pod in pods]) == ("success", ["Succeeded"]), log[-3000:]
    name = pods[0]["metadata"]["name"]
    taken_up = (f"Reattached to pod {name}", f"Pod {name} ended while no process of the task watched it")
    assert f"The worker is shutting down: pod {name} is kept." in log, log[-3000:]
    assert any(text in log for text in taken_up), log[-3000:]


def test_helm_test_checks_the_second_release_teams(stack: Stack, release: dict[str, Any]):
    stack.helm(["test", RELEASE, "--namespace", RELEASE_NAMESPACE, "--timeout", "3m"], lambda _: None, timeout_s=190)
    log_lines = stack.kubectl("logs", f"{RELEASE}-test", "-n", RELEASE_NAMESPACE).splitlines()
    assert sorted(line for line in log_lines if line.startswith("Team ")) == [
        "Team far: a pod has returned its result, and its token was tested",
        "Team near: a pod has returned its result, and its token was tested",
    ]


def test_uninstall_keeps_only_the_namespaces(stack: Stack, release: dict[str, Any]):
    stack.helm(["uninstall", RELEASE, "--namespace", RELEASE_NAMESPACE, "--wait"], lambda _: None, timeout_s=120)
    assert [stack.get("namespace", f"team-{name}")["status"]["phase"] for name in TEAMS] == ["Active", "Active"]
    assert stack.get("rolebindings", "-n", "team-near")["items"] == []
    roles = [item["metadata"]["name"] for item in stack.get("clusterroles")["items"]]
    assert [name for name in roles if name.startswith(f"{RELEASE_NAMESPACE}-{RELEASE}-")] == []
