"""Every kind of connection runs real tasks, in a worker and deferred: kubeconfig, token, environment variable.

Bootstrap's evidence of a connection in the environment matches the pods, before and after their restart.

The other cluster is this one, at its external address and with other accounts than Airflow's own; the audit log shows
which account created each pod.
"""

from __future__ import annotations

import base64
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from common.command import capture_output
from common.steps import Steps
from local_cluster.cluster_paths import default_paths
from stack.airflow_api import AirflowApi
from stack.git_push import push_files
from stack.install import install_release
from stack.release import NAMESPACE, Stack

TARGET_NAMESPACE = "conn-target"
LAUNCHER = f"system:serviceaccount:{TARGET_NAMESPACE}:launcher"
AIRFLOW_ACCOUNTS = {
    f"system:serviceaccount:{NAMESPACE}:airflow-{component}" for component in ("scheduler", "triggerer")
}
EXPECTED_CREATORS = {"conn-cert": {"admin"}, "conn-env": AIRFLOW_ACCOUNTS}
KNOWN_ACCOUNTS = {"admin", LAUNCHER, *AIRFLOW_ACCOUNTS}
TEAMS: dict[str, tuple[str, str]] = {
    "conn-token": ("kubeconfig", "api"),
    "conn-cert": ("kubeconfig", "api"),
    "conn-remote": ("remote", "api"),
    "conn-env": ("inCluster", "env"),
    "conn-remenv": ("remote", "env"),
}
BY_ENV = [name for name, (_, via) in TEAMS.items() if via == "env"]
PODS = ("airflow-scheduler-0", "airflow-triggerer-0")
RESTART = "Restart with: "

BootstrapResult = tuple[int, str]
"""Exit code and last line of a bootstrap run."""

BootstrapResults = dict[str, tuple[BootstrapResult, BootstrapResult]]
"""Bootstrap's results for connections in the environment, before and after the restart of Airflow's pods."""

DAG = """
from airflow.sdk import DAG
from kpo_platform import TeamPodOperator

with DAG("{dag}", schedule=None, default_args={{"team": "{team}"}}):
    for name, deferrable in {{"sync": False, "deferred": True}}.items():
        TeamPodOperator(
            task_id=name, image="busybox:1.35", deferrable=deferrable, defer_after=0, do_xcom_push=True,
            # Long enough for the trigger to start waiting.
            cmds=["sh", "-c"], arguments=["sleep 5; echo '{{\\"is\\": \\"done\\"}}' > /airflow/xcom/return.json"],
            on_finish_action="keep_pod",
        )
"""


def release_values() -> dict[str, Any]:
    git = "git://git-server.git.svc.cluster.local"
    return {
        "teams": {
            name: {
                "connection": {"id": name.replace("-", "_"), "mode": mode, "via": via},
                "dags": {"repo": f"{git}/{name}.git", "refreshInterval": 5},
                "registry": {"host": ""},
                "volumes": [],
            }
            for name, (mode, via) in TEAMS.items()
        }
    }


def run_in_git_server(stack: Stack, command: str) -> None:
    stack.kubectl("exec", "-n", "git", "deployment/git-server", "--", "sh", "-c", command)


def delete_teams(stack: Stack, airflow: AirflowApi) -> None:
    """Delete what remains after the upgrade to the usual teams."""
    stack.kubectl(
        "delete",
        "namespace",
        TARGET_NAMESPACE,
        *(f"team-{name}" for name in TEAMS),
        "--ignore-not-found",
        timeout_s=180,
    )
    stack.kubectl("delete", "secret", "airflow-connections", "-n", NAMESPACE, "--ignore-not-found")
    run_in_git_server(stack, "rm -rf " + " ".join(f"/srv/git/{name}.git" for name in TEAMS))
    known = {item["connection_id"] for item in airflow.get("connections?limit=100")["connections"]}
    for name in sorted(known & {team.replace("-", "_") for team in TEAMS}):
        airflow.delete(f"connections/{name}")


@pytest.fixture(scope="module")
def teams(stack: Stack, airflow: AirflowApi, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The teams with a DAG each; yields the version of each DAG."""
    delete_teams(stack, airflow)
    file = tmp_path_factory.mktemp("values") / "connections.yaml"
    file.write_text(yaml.safe_dump(release_values()))
    try:
        versions = {}
        for name in TEAMS:
            run_in_git_server(stack, f"git init --quiet --bare --initial-branch=main /srv/git/{name}.git")
            dag = DAG.format(dag=name.replace("-", "_"), team=name)
            url = f"git://{stack.service_address('git-server', 'git')}/{name}.git"
            versions[name] = push_files(url, {f"{name.replace('-', '_')}.py": dag}, "Add a DAG with two tasks")
        install_release(Steps(), stack, file)
        create_launcher(stack)
        yield versions
    finally:
        install_release(Steps(), stack)
        delete_teams(stack, airflow)


def create_launcher(stack: Stack) -> None:
    """Create the account that another Airflow would use to start pods in the teams' namespaces."""
    stack.kubectl("create", "namespace", TARGET_NAMESPACE)
    stack.kubectl("create", "serviceaccount", "launcher", "-n", TARGET_NAMESPACE)
    for name in TEAMS:
        words = ("--role=pod-launcher", f"--serviceaccount={TARGET_NAMESPACE}:launcher", "-n", f"team-{name}")
        stack.kubectl("create", "rolebinding", "elsewhere", *words)


@pytest.fixture(scope="module")
def bootstrap_results(
    stack: Stack, programs: Path, teams: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> BootstrapResults:
    """Run bootstrap for each team with its target cluster, and restart the pods that it names."""
    file = stack.write_account_kubeconfig("launcher", TARGET_NAMESPACE, tmp_path_factory.mktemp("target"))
    targets: dict[str, list[str | Path]] = {
        "conn-token": ["--target-kubeconfig", file],
        "conn-cert": ["--target-kubeconfig", stack.kubeconfig],
        "conn-remote": ["--target-kubeconfig", stack.kubeconfig, "--target-account", f"{TARGET_NAMESPACE}/launcher"],
        "conn-env": [],
    }
    targets["conn-remenv"] = targets["conn-remote"]
    before = {name: bootstrap(stack, programs, name, targets[name]) for name in TEAMS}
    assert {name: code for name, (code, _) in before.items() if name not in BY_ENV and code} == {}
    restart_pods(stack, before["conn-env"][1])
    return {name: (before[name], bootstrap(stack, programs, name, targets[name])) for name in BY_ENV}


def bootstrap(stack: Stack, programs: Path, team: str, options: list[str | Path]) -> BootstrapResult:
    words = [programs / "platformctl", "bootstrap", "--yes", "--team", team, *options]
    process = subprocess.run(words, env=stack.environment, capture_output=True, text=True, timeout=120)
    return process.returncode, (process.stdout.splitlines() or [process.stderr])[-1]


def restart_pods(stack: Stack, output: str) -> None:
    """Run the restart command of bootstrap's evidence."""
    command = output.partition(RESTART)[2].split()
    assert command[:1] == ["kubectl"], output
    stack.kubectl(*command[1:], timeout_s=180)
    for component in ("scheduler", "triggerer"):
        words = ["rollout", "status", f"statefulset/airflow-{component}", "-n", NAMESPACE, "--timeout=180s"]
        stack.kubectl(*words, timeout_s=190)


def read_pod_creators(namespace: str) -> set[str]:
    """Return which of the known accounts accessed pods in a namespace, from the audit log."""
    users = set()
    for line in default_paths().audit_log.read_text(errors="replace").splitlines():
        if f'"{namespace}"' in line:
            event = json.loads(line)
            reference, user = event.get("objectRef") or {}, str(event["user"]["username"])
            if (reference.get("resource"), reference.get("namespace")) == ("pods", namespace):
                users.add(user)
    return {user for user in users if user in KNOWN_ACCOUNTS}


@pytest.mark.parametrize("name", TEAMS)
def test_tasks_run_with_the_connection(
    stack: Stack, airflow: AirflowApi, teams: dict[str, str], bootstrap_results: BootstrapResults, name: str
):
    dag, namespace = name.replace("-", "_"), f"team-{name}"
    airflow.wait_for_version(dag, teams[name])
    run = airflow.trigger_run(dag)
    state = airflow.wait_for_run(dag, run)
    assert state == "success", (
        airflow.read_log(dag, run, "sync")[-3000:] + airflow.read_log(dag, run, "deferred")[-3000:]
    )
    results = {task: airflow.read_xcom(dag, run, task) for task in ("sync", "deferred")}
    assert results == {"sync": {"is": "done"}, "deferred": {"is": "done"}}
    assert read_pod_creators(namespace) == EXPECTED_CREATORS.get(name, {LAUNCHER})


def test_airflow_api_masks_the_token_of_a_connection(airflow: AirflowApi, bootstrap_results: BootstrapResults):
    extra = json.loads(airflow.get("connections/conn_remote")["extra"])
    assert (set(iterate_texts(extra["kube_config"])), extra["kpo_platform"]["user"]) == ({"***"}, LAUNCHER)


def iterate_texts(value: Any) -> Iterator[str]:
    """Yield every leaf of a JSON value as text: Airflow masks them one by one."""
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from iterate_texts(item)
    else:
        yield str(value)


def test_environment_connection_exists_only_in_the_secret(
    stack: Stack, airflow: AirflowApi, bootstrap_results: BootstrapResults
):
    data = stack.get("secret", "airflow-connections", "-n", NAMESPACE)["data"]
    assert sorted(data) == ["AIRFLOW_CONN_CONN_ENV", "AIRFLOW_CONN_CONN_REMENV"]
    known = {item["connection_id"] for item in airflow.get("connections?limit=100")["connections"]}
    assert not {"conn_env", "conn_remenv"} & known
    assert json.loads(base64.b64decode(data["AIRFLOW_CONN_CONN_ENV"]))["extra"]["in_cluster"] is True


def test_environment_connection_is_healthy_after_the_restart(
    bootstrap_results: BootstrapResults,
):
    secret = f"Secret {NAMESPACE}/airflow-connections"
    command = f"kubectl -n {NAMESPACE} delete pod {' '.join(PODS)}"
    stale = f"{secret} was written at TIME, after the start of {', '.join(PODS)}. {RESTART}{command}"
    fresh = f"in the environment of {', '.join(PODS)}, from {secret}"
    time = re.compile(r"[0-9T:-]{19}Z")
    ends = {
        name: [(code, line.split()[0], time.sub("TIME", line.rpartition("; ")[2])) for code, line in output]
        for name, output in bootstrap_results.items()
    }
    assert ends == {name: [(1, "✗", stale), (0, "✔", fresh)] for name in BY_ENV}


def test_second_run_changes_no_connection_and_creates_no_token(
    stack: Stack, programs: Path, bootstrap_results: BootstrapResults
):
    options = ["--target-kubeconfig", stack.kubeconfig, "--target-account", f"{TARGET_NAMESPACE}/launcher"]
    for name in ("conn-remote", "conn-remenv", "conn-env"):
        words = [programs / "platformctl", "bootstrap", "--dry-run", "--detailed-exitcode", "--team", name, *options]
        plan = capture_output(words, env=stack.environment, timeout_s=60)
        assert plan.splitlines()[-1] == "Plan: 0 to create, 0 to change, 1 unchanged, 0 blocked."


def test_connection_in_both_places_is_a_conflict(
    stack: Stack, airflow: AirflowApi, programs: Path, bootstrap_results: BootstrapResults
):
    airflow.post("connections", {"connection_id": "conn_env", "conn_type": "kubernetes", "extra": "{}"})
    words = [programs / "platformctl", "bootstrap", "--yes", "--team", "conn-env", "-o", "json"]
    try:
        output = subprocess.run(words, env=stack.environment, capture_output=True, text=True, timeout=60)
        actions = [(item["action"], item["note"]) for item in json.loads(output.stdout)["actions"]]
        note = (
            "it is also in Airflow's database, where it has no effect: the environment (AIRFLOW_CONN_CONN_ENV) "
            "overrides it. Delete it there or set connection.via to api"
        )
        assert (output.returncode, actions) == (1, [("blocked", note), ("unchanged", "connections conn_env")])
        assert airflow.get("connections/conn_env")["extra"] == "{}"
    finally:
        airflow.delete("connections/conn_env")
