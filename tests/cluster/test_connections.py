"""Every form of connection carries real tasks, in a worker and deferred: by kubeconfig, by token, by the environment.

What bootstrap says of one in the environment is what the pods have, before and after the restart that it tells to do.

The other cluster is this one, reached at its outer address and as somebody else than Airflow's own accounts: the audit
log tells who made each pod.
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

HOME = "conn-target"
LAUNCHER = f"system:serviceaccount:{HOME}:launcher"
OWN = {f"system:serviceaccount:{NAMESPACE}:airflow-{part}" for part in ("scheduler", "triggerer")}
WHO = {"conn-cert": {"admin"}, "conn-env": OWN}
EVERYBODY = {"admin", LAUNCHER, *OWN}
TEAMS: dict[str, tuple[str, str]] = {
    "conn-token": ("kubeconfig", "api"),
    "conn-cert": ("kubeconfig", "api"),
    "conn-remote": ("remote", "api"),
    "conn-env": ("inCluster", "env"),
    "conn-remenv": ("remote", "env"),
}
BY_ENV = [name for name, (_, via) in TEAMS.items() if via == "env"]
PODS = ("airflow-scheduler-0", "airflow-triggerer-0")
RESTART = "restart with: "

Said = tuple[int, str]
"""Exit code and last line of a run of bootstrap."""

Made = dict[str, tuple[Said, Said]]
"""What bootstrap said of each connection in the environment, before and after Airflow's pods had it."""

DAG = """
from airflow.sdk import DAG
from kpo_platform import TeamPodOperator

with DAG("{dag}", schedule=None, default_args={{"team": "{team}"}}):
    for name, deferrable in {{"sync": False, "deferred": True}}.items():
        TeamPodOperator(
            task_id=name, image="busybox:1.35", deferrable=deferrable, do_xcom_push=True, cmds=["sh", "-c"],
            # Long enough that the trigger has begun to wait before the pod is over.
            arguments=["sleep 5; echo '{{\\"is\\": \\"done\\"}}' > /airflow/xcom/return.json"],
            on_finish_action="keep_pod",
        )
"""


def values() -> dict[str, Any]:
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


def in_git(stack: Stack, command: str) -> None:
    stack.kubectl("exec", "-n", "git", "deployment/git-server", "--", "sh", "-c", command)


def forget(stack: Stack, airflow: AirflowApi) -> None:
    """Remove what an upgrade to the usual teams leaves behind."""
    stack.kubectl("delete", "namespace", HOME, *(f"team-{name}" for name in TEAMS), "--ignore-not-found", timeout_s=180)
    stack.kubectl("delete", "secret", "airflow-connections", "-n", NAMESPACE, "--ignore-not-found")
    in_git(stack, "rm -rf " + " ".join(f"/srv/git/{name}.git" for name in TEAMS))
    known = {each["connection_id"] for each in airflow.get("connections?limit=100")["connections"]}
    for name in sorted(known & {team.replace("-", "_") for team in TEAMS}):
        airflow.delete(f"connections/{name}")


@pytest.fixture(scope="module")
def teams(stack: Stack, airflow: AirflowApi, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The teams with a DAG each; gives the version of each DAG."""
    forget(stack, airflow)
    file = tmp_path_factory.mktemp("values") / "connections.yaml"
    file.write_text(yaml.safe_dump(values()))
    try:
        versions = {}
        for name in TEAMS:
            in_git(stack, f"git init --quiet --bare --initial-branch=main /srv/git/{name}.git")
            dag = DAG.format(dag=name.replace("-", "_"), team=name)
            url = f"git://{stack.service_address('git-server', 'git')}/{name}.git"
            versions[name] = push_files(url, {f"{name.replace('-', '_')}.py": dag}, "Run twice")
        install_release(Steps(), stack, file)
        launcher(stack)
        yield versions
    finally:
        install_release(Steps(), stack)
        forget(stack, airflow)


def launcher(stack: Stack) -> None:
    """Make the account that starts pods in the teams' namespaces for an Airflow elsewhere."""
    stack.kubectl("create", "namespace", HOME)
    stack.kubectl("create", "serviceaccount", "launcher", "-n", HOME)
    for name in TEAMS:
        words = ("--role=pod-launcher", f"--serviceaccount={HOME}:launcher", "-n", f"team-{name}")
        stack.kubectl("create", "rolebinding", "elsewhere", *words)


@pytest.fixture(scope="module")
def made(stack: Stack, programs: Path, teams: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Run bootstrap for each team, with the cluster that its connection leads to, and restart what it says."""
    file = stack.write_account_kubeconfig("launcher", HOME, tmp_path_factory.mktemp("target"))
    targets: dict[str, list[str | Path]] = {
        "conn-token": ["--target-kubeconfig", file],
        "conn-cert": ["--target-kubeconfig", stack.kubeconfig],
        "conn-remote": ["--target-kubeconfig", stack.kubeconfig, "--target-account", f"{HOME}/launcher"],
        "conn-env": [],
    }
    targets["conn-remenv"] = targets["conn-remote"]
    before = {name: bootstrap(stack, programs, name, targets[name]) for name in TEAMS}
    assert {name: code for name, (code, _) in before.items() if name not in BY_ENV and code} == {}
    restart(stack, before["conn-env"][1])
    return {name: (before[name], bootstrap(stack, programs, name, targets[name])) for name in BY_ENV}


def bootstrap(stack: Stack, programs: Path, team: str, more: list[str | Path]) -> Said:
    words = [programs / "platformctl", "bootstrap", "--yes", "--team", team, *more]
    ran = subprocess.run(words, env=stack.environment, capture_output=True, text=True, timeout=120)
    return ran.returncode, (ran.stdout.splitlines() or [ran.stderr])[-1]


def restart(stack: Stack, said: str) -> None:
    """Do what an evidence says is to be done."""
    command = said.partition(RESTART)[2].split()
    assert command[:1] == ["kubectl"], said
    stack.kubectl(*command[1:], timeout_s=180)
    for part in ("scheduler", "triggerer"):
        words = ["rollout", "status", f"statefulset/airflow-{part}", "-n", NAMESPACE, "--timeout=180s"]
        stack.kubectl(*words, timeout_s=190)


def askers(namespace: str) -> set[str]:
    """Who asked for pods in a namespace, as the audit log tells, of Airflow, the launcher and the administrator."""
    found = set()
    for line in default_paths().audit_log.read_text(errors="replace").splitlines():
        if f'"{namespace}"' in line:
            event = json.loads(line)
            what, who = event.get("objectRef") or {}, str(event["user"]["username"])
            if (what.get("resource"), what.get("namespace")) == ("pods", namespace):
                found.add(who)
    return {who for who in found if who in EVERYBODY}


@pytest.mark.parametrize("name", TEAMS)
def test_tasks_run_over_the_connection(stack: Stack, airflow: AirflowApi, teams: dict[str, str], made: Made, name: str):
    dag, namespace = name.replace("-", "_"), f"team-{name}"
    airflow.wait_for_version(dag, teams[name])
    run = airflow.trigger_run(dag)
    state = airflow.wait_for_run(dag, run)
    assert state == "success", (
        airflow.read_log(dag, run, "sync")[-3000:] + airflow.read_log(dag, run, "deferred")[-3000:]
    )
    results = {task: airflow.read_xcom(dag, run, task) for task in ("sync", "deferred")}
    assert results == {"sync": {"is": "done"}, "deferred": {"is": "done"}}
    assert askers(namespace) == WHO.get(name, {LAUNCHER})


def test_airflows_api_shows_where_a_connection_leads_and_not_its_token(airflow: AirflowApi, made: Made):
    extra = json.loads(airflow.get("connections/conn_remote")["extra"])
    assert (set(texts(extra["kube_config"])), extra["kpo_platform"]["user"]) == ({"***"}, LAUNCHER)


def texts(value: Any) -> Iterator[str]:
    """Every text in a value of JSON that stands for something: Airflow masks them one by one."""
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from texts(each)
    else:
        yield str(value)


def test_a_connection_by_the_environment_is_in_the_secret_alone(stack: Stack, airflow: AirflowApi, made: Made):
    data = stack.get("secret", "airflow-connections", "-n", NAMESPACE)["data"]
    assert sorted(data) == ["AIRFLOW_CONN_CONN_ENV", "AIRFLOW_CONN_CONN_REMENV"]
    known = {each["connection_id"] for each in airflow.get("connections?limit=100")["connections"]}
    assert not {"conn_env", "conn_remenv"} & known
    assert json.loads(base64.b64decode(data["AIRFLOW_CONN_CONN_ENV"]))["extra"]["in_cluster"] is True


def test_a_connection_in_the_environment_is_there_once_the_pods_that_read_it_have_restarted(made: Made):
    secret = f"Secret {NAMESPACE}/airflow-connections"
    stale = f"after the start of {', '.join(PODS)}: {RESTART}kubectl -n {NAMESPACE} delete pod {' '.join(PODS)}"
    fresh = f"in the environment of {', '.join(PODS)}, from {secret}"
    written = re.compile(r"written at [0-9T:-]{19}Z, ")
    ends = {
        name: [(code, line.split()[0], written.sub("", line.rpartition("; ")[2])) for code, line in said]
        for name, said in made.items()
    }
    assert ends == {name: [(1, "✗", stale), (0, "✔", fresh)] for name in BY_ENV}


def test_a_second_run_changes_no_connection_and_obtains_no_token(stack: Stack, programs: Path, made: Made):
    more = ["--target-kubeconfig", stack.kubeconfig, "--target-account", f"{HOME}/launcher"]
    for name in ("conn-remote", "conn-remenv", "conn-env"):
        words = [programs / "platformctl", "bootstrap", "--dry-run", "--detailed-exitcode", "--team", name, *more]
        plan = capture_output(words, env=stack.environment, timeout_s=60)
        assert plan.splitlines()[-1] == "Plan: 0 to create, 0 to change, 1 unchanged, 0 blocked."


def test_a_connection_in_both_places_is_a_conflict(stack: Stack, airflow: AirflowApi, programs: Path, made: Made):
    airflow.post("connections", {"connection_id": "conn_env", "conn_type": "kubernetes", "extra": "{}"})
    words = [programs / "platformctl", "bootstrap", "--yes", "--team", "conn-env", "-o", "json"]
    try:
        said = subprocess.run(words, env=stack.environment, capture_output=True, text=True, timeout=60)
        actions = [(each["action"], each["note"]) for each in json.loads(said.stdout)["actions"]]
        note = (
            "it is in Airflow's database as well, where it is never used, for the environment (AIRFLOW_CONN_CONN_ENV) "
            "wins: delete it there, or set connection.via to api"
        )
        assert (said.returncode, actions) == (1, [("blocked", note), ("unchanged", "connections conn_env")])
        assert airflow.get("connections/conn_env")["extra"] == "{}"
    finally:
        airflow.delete("connections/conn_env")
