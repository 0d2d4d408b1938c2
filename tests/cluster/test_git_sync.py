"""One repository for all teams, synced by a sidecar, with a folder per team.

The image is a stand-in for git-sync 4 with the same variables.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.support.airflow_runs.dag_run import Run
from cluster.support.airflow_runs.executors import release_with_executor
from cluster.support.services.private_git import USER, PrivateGit, apply_credentials, run_private_git
from common.steps import Steps
from stack.airflow_api import AirflowApi
from stack.git_push import push_files
from stack.install import install_release
from stack.release import NAMESPACE, RELEASE, Stack

DAG = """
from airflow.sdk import DAG
from kpo_platform import TeamPodOperator

with DAG("shared_{team}", schedule=None, tags=["{tag}"]):
    TeamPodOperator(task_id="work", image="busybox:1.35", cmds=["true"], do_xcom_push=False)
"""
VALUES = {
    "dags": {
        "gitSync": {
            "enabled": True,
            "repo": "git://git-server.git.svc.cluster.local/shared.git",
            "subPath": "dags",
            "period": "2s",
        }
    }
}

ACCOUNT_FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount"


def run_in_git_server(stack: Stack, command: str) -> None:
    stack.kubectl("exec", "-n", "git", "deployment/git-server", "--", "sh", "-c", command)


@pytest.fixture(scope="module")
def shared_repository(stack: Stack, airflow: AirflowApi, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The repository's URL; the release syncs it during the tests."""
    values = tmp_path_factory.mktemp("values") / "shared.yaml"
    values.write_text(yaml.safe_dump(VALUES))
    url = f"git://{stack.service_address('git-server', 'git')}/shared.git"
    try:
        run_in_git_server(stack, "git init --quiet --bare --initial-branch=main /srv/git/shared.git")
        push_files(url, {"dags/beta/one.py": DAG.format(team="beta", tag="first")}, "Add a DAG of team beta")
        install_release(Steps(), stack, values)
        yield url
    finally:
        install_release(Steps(), stack)
        run_in_git_server(stack, "rm -rf /srv/git/shared.git")


def wait_for_tag(airflow: AirflowApi, dag: str, tag: str, deadline_s: float = 180) -> None:
    """Wait until Airflow has loaded the version of the DAG with this tag."""

    def is_loaded(details: dict[str, Any]) -> bool:
        return [item["name"] for item in details["tags"]] == [tag]

    airflow.wait_for_dag(dag, is_loaded, f"with tag {tag}", deadline_s)


def test_dag_in_a_team_folder_runs_for_the_team(stack: Stack, airflow: AirflowApi, shared_repository: str):
    wait_for_tag(airflow, "shared_beta", "first")
    run = Run(stack, airflow, "shared_beta", airflow.trigger_run("shared_beta"), "team-beta")
    assert run.wait_for_end() == "success", run.read_log()
    assert run.task_instance()["pool"] == "team-beta"


def test_new_and_changed_files_are_loaded(stack: Stack, airflow: AirflowApi, shared_repository: str):
    files = {team: DAG.format(team=team, tag="second") for team in ("alpha", "beta")}
    push_files(
        shared_repository,
        {"dags/alpha/two.py": files["alpha"], "dags/beta/one.py": files["beta"]},
        "Add a DAG and change one",
    )
    for team in files:
        wait_for_tag(airflow, f"shared_{team}", "second")


def test_sidecar_conforms_to_pod_security(stack: Stack, shared_repository: str):
    for component in ("scheduler", "dag-processor"):
        (pod,) = stack.get("pods", "-n", "airflow", "-l", f"app.kubernetes.io/component={component}")["items"]
        (status,) = [item for item in pod["status"]["initContainerStatuses"] if item["name"] == "git-sync"]
        assert (status["started"], status["ready"], status["restartCount"]) == (True, True, 0)
    namespace = stack.get("namespace", "airflow")["metadata"]["labels"]
    assert namespace["pod-security.kubernetes.io/enforce"] == "restricted"


def test_sidecars_and_waiting_containers_have_no_token(stack: Stack, shared_repository: str):
    """Reads the created pods, to which Kubernetes itself would have added the token."""
    result: dict[str, set[str]] = {}
    for pod in stack.get("pods", "-n", NAMESPACE, "-l", f"app.kubernetes.io/instance={RELEASE}")["items"]:
        if pod["status"]["phase"] == "Running":
            component = pod["metadata"]["labels"]["app.kubernetes.io/component"]
            result.setdefault(component, set()).update(
                item["name"]
                for item in [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]
                if any(mount["mountPath"] == ACCOUNT_FOLDER for mount in item.get("volumeMounts", []))
            )
    assert result == {
        "api-server": set(),
        "dag-processor": set(),
        "postgresql": set(),
        "scheduler": {"scheduler"},
        "triggerer": {"triggerer"},
    }
    assert list_account_files(stack, "git-sync") == []


def test_token_expires_after_an_hour(stack: Stack, shared_repository: str):
    assert list_account_files(stack, "scheduler") == ["ca.crt", "namespace", "token"]
    token = stack.kubectl(
        "exec", "-n", NAMESPACE, "statefulset/airflow-scheduler", "--", "cat", f"{ACCOUNT_FOLDER}/token"
    )
    body = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    assert (claims["sub"], claims["exp"] - claims["iat"]) == (
        f"system:serviceaccount:{NAMESPACE}:airflow-scheduler",
        3600,
    )


def list_account_files(stack: Stack, container: str) -> list[str]:
    """Return the files of a container at the path of the token."""
    script = f"ls {ACCOUNT_FOLDER} 2>/dev/null || true"
    words = ("exec", "-n", NAMESPACE, "statefulset/airflow-scheduler", "-c", container, "--", "sh", "-c", script)
    return stack.kubectl(*words).split()


class PrivateRepository:
    """A repository with credentials in a Secret, synced by the release."""

    dag = "behind_beta"
    secret = "dags-git"

    def __init__(self, stack: Stack, server: PrivateGit, values: Path) -> None:
        self.stack, self.server, self.values = stack, server, values

    def commit(self, tag: str) -> None:
        """Push the DAG with a tag."""
        text = DAG.format(team="beta", tag=tag).replace("shared_", "behind_")
        self.server.commit_file("dags", "dags/beta/behind.py", text)

    def set_password(self, password: str) -> None:
        """Replace the password of the repository and of the Secret."""
        self.server.set_password(password)
        apply_credentials(self.stack, self.secret, "basic-auth", {"username": USER, "password": password})

    def release_values(self, repo: str) -> dict[str, Any]:
        """Return the values with which the release syncs the repository from a URL."""
        return {"dags": {"gitSync": {**VALUES["dags"]["gitSync"], "repo": repo, "credentialsSecret": self.secret}}}

    def read_pods(self) -> dict[str, tuple[str, list[int]]]:
        """Return uid and restarts of Airflow's container of the syncing pods, by component."""
        selector = "app.kubernetes.io/component in (scheduler,dag-processor)"
        result = {}
        for pod in self.stack.get("pods", "-n", NAMESPACE, "-l", selector)["items"]:
            restarts = [item["restartCount"] for item in pod["status"]["containerStatuses"]]
            result[pod["metadata"]["labels"]["app.kubernetes.io/component"]] = (pod["metadata"]["uid"], restarts)
        return result


@pytest.fixture
def private_repository(stack: Stack, airflow: AirflowApi, tmp_path: Path) -> Iterator[PrivateRepository]:
    try:
        with run_private_git(stack) as server:
            yield PrivateRepository(stack, server, tmp_path / "behind.yaml")
            install_release(Steps(), stack)
            # Airflow keeps the DAGs of bundles that no longer exist.
            airflow.delete(f"dags/{PrivateRepository.dag}")
    finally:
        stack.kubectl("delete", "secret", PrivateRepository.secret, "-n", NAMESPACE, "--ignore-not-found")


def test_new_password_is_used_without_a_restart_of_airflow(
    stack: Stack, airflow: AirflowApi, private_repository: PrivateRepository
):
    private_repository.commit("first")
    private_repository.set_password("brook")
    private_repository.values.write_text(
        yaml.safe_dump(private_repository.release_values(private_repository.server.http_url("dags")))
    )
    install_release(Steps(), stack, private_repository.values)
    wait_for_tag(airflow, private_repository.dag, "first")
    pods = private_repository.read_pods()
    private_repository.set_password("stone")
    private_repository.commit("second")
    # git-sync restarts, with increasing delays, until the kubelet has updated the password.
    wait_for_tag(airflow, private_repository.dag, "second", deadline_s=420)
    assert private_repository.read_pods() == pods
    for component in pods:
        words = (
            "logs",
            "-n",
            NAMESPACE,
            "-l",
            f"app.kubernetes.io/component={component}",
            "-c",
            "git-sync",
            "--tail=-1",
        )
        log = stack.kubectl(*words)
        assert ("updated successfully" in log, "brook" in log, "stone" in log) == (True, False, False)


def test_ssh_key_works_for_sidecars_and_worker_pods(
    stack: Stack, airflow: AirflowApi, private_repository: PrivateRepository
):
    private_repository.commit("by-ssh")
    data = {
        "ssh-privatekey": private_repository.server.create_key(),
        "known_hosts": private_repository.server.read_host_key(),
    }
    apply_credentials(stack, private_repository.secret, "ssh-auth", data)
    values = private_repository.release_values(private_repository.server.ssh_url("dags"))
    with release_with_executor(stack, "KubernetesExecutor", private_repository.values, values):
        wait_for_tag(airflow, private_repository.dag, "by-ssh")
        run = Run(stack, airflow, private_repository.dag, airflow.trigger_run(private_repository.dag), "team-beta")
        assert run.wait_for_end() == "success", run.read_log()
