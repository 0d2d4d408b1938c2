"""One repository for all teams, followed by a sidecar: what is pushed is read, and a folder is a team's.

The image is a stand-in for git-sync 4 that was built here; it takes the same variables.
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
from common.polling import NotYet, wait_for
from common.steps import Steps
from stack.airflow_api import AirflowApi, NotFoundError
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

ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


def repository(stack: Stack, command: str) -> None:
    stack.kubectl("exec", "-n", "git", "deployment/git-server", "--", "sh", "-c", command)


@pytest.fixture(scope="module")
def shared(stack: Stack, airflow: AirflowApi, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The repository's URL; the release follows it, and afterwards follows it no more."""
    values = tmp_path_factory.mktemp("values") / "shared.yaml"
    values.write_text(yaml.safe_dump(VALUES))
    url = f"git://{stack.service_address('git-server', 'git')}/shared.git"
    try:
        repository(stack, "git init --quiet --bare --initial-branch=main /srv/git/shared.git")
        push_files(url, {"dags/beta/one.py": DAG.format(team="beta", tag="first")}, "A DAG of team beta")
        install_release(Steps(), stack, values)
        yield url
    finally:
        install_release(Steps(), stack)
        repository(stack, "rm -rf /srv/git/shared.git")


def wait_for_tag(airflow: AirflowApi, dag: str, tag: str, deadline_s: float = 180) -> None:
    """Wait until Airflow has read a version of the DAG that has this tag."""

    def probe() -> None:
        try:
            tags = [one["name"] for one in airflow.get(f"dags/{dag}/details")["tags"]]
        except NotFoundError as error:
            raise NotYet(f"{error}; import errors: {airflow.get('importErrors')}") from None
        if tags != [tag]:
            raise NotYet(f"its tags are {tags}")

    wait_for(f"Airflow to read {dag} with tag {tag}", probe, deadline_s, interval_s=1)


def test_a_dag_in_a_team_s_folder_runs_for_the_team(stack: Stack, airflow: AirflowApi, shared: str):
    wait_for_tag(airflow, "shared_beta", "first")
    run = Run(stack, airflow, "shared_beta", airflow.trigger_run("shared_beta"), "team-beta")
    assert run.wait_for_end() == "success", run.read_log()
    assert run.task_instance()["pool"] == "team-beta"


def test_what_is_pushed_later_is_read_a_new_file_and_a_changed_one(stack: Stack, airflow: AirflowApi, shared: str):
    later = {team: DAG.format(team=team, tag="second") for team in ("alpha", "beta")}
    push_files(
        shared, {"dags/alpha/two.py": later["alpha"], "dags/beta/one.py": later["beta"]}, "One more, and a change"
    )
    for team in later:
        wait_for_tag(airflow, f"shared_{team}", "second")


def test_the_sidecar_keeps_to_the_namespace_s_pod_security(stack: Stack, shared: str):
    for component in ("scheduler", "dag-processor"):
        (pod,) = stack.get("pods", "-n", "airflow", "-l", f"app.kubernetes.io/component={component}")["items"]
        (seen,) = [one for one in pod["status"]["initContainerStatuses"] if one["name"] == "git-sync"]
        assert (seen["started"], seen["ready"], seen["restartCount"]) == (True, True, 0)
    namespace = stack.get("namespace", "airflow")["metadata"]["labels"]
    assert namespace["pod-security.kubernetes.io/enforce"] == "restricted"


def test_no_sidecar_and_no_container_that_waits_holds_the_account_s_token(stack: Stack, shared: str):
    """The pods are looked at as they are: Kubernetes itself would have added the token at their creation."""
    found: dict[str, set[str]] = {}
    for pod in stack.get("pods", "-n", NAMESPACE, "-l", f"app.kubernetes.io/instance={RELEASE}")["items"]:
        if pod["status"]["phase"] == "Running":
            component = pod["metadata"]["labels"]["app.kubernetes.io/component"]
            found.setdefault(component, set()).update(
                one["name"]
                for one in [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]
                if any(mount["mountPath"] == ACCOUNT for mount in one.get("volumeMounts", []))
            )
    assert found == {
        "api-server": set(),
        "dag-processor": set(),
        "postgresql": set(),
        "scheduler": {"scheduler"},
        "triggerer": {"triggerer"},
    }
    assert files_of_the_account(stack, "git-sync") == []


def test_the_token_is_good_for_an_hour(stack: Stack, shared: str):
    assert files_of_the_account(stack, "scheduler") == ["ca.crt", "namespace", "token"]
    token = stack.kubectl("exec", "-n", NAMESPACE, "statefulset/airflow-scheduler", "--", "cat", f"{ACCOUNT}/token")
    body = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    assert (claims["sub"], claims["exp"] - claims["iat"]) == (
        f"system:serviceaccount:{NAMESPACE}:airflow-scheduler",
        3600,
    )


def files_of_the_account(stack: Stack, container: str) -> list[str]:
    """What a container of the scheduler's pod finds where the token would be."""
    look = f"ls {ACCOUNT} 2>/dev/null || true"
    words = ("exec", "-n", NAMESPACE, "statefulset/airflow-scheduler", "-c", container, "--", "sh", "-c", look)
    return stack.kubectl(*words).split()


class Behind:
    """A repository that a Secret opens, followed by the release."""

    dag = "behind_beta"
    secret = "dags-git"

    def __init__(self, stack: Stack, server: PrivateGit, values: Path) -> None:
        self.stack, self.server, self.values = stack, server, values

    def commit(self, tag: str) -> None:
        """Push the DAG with this tag."""
        text = DAG.format(team="beta", tag=tag).replace("shared_", "behind_")
        self.server.commit_file("dags", "dags/beta/behind.py", text)

    def let_in(self, password: str) -> None:
        """Let this password open it from now on, and put it into the Secret."""
        self.server.set_password(password)
        apply_credentials(self.stack, self.secret, "basic-auth", {"username": USER, "password": password})

    def followed(self, repo: str) -> dict[str, Any]:
        """Give the values that let the release follow it at this address."""
        return {"dags": {"gitSync": {**VALUES["dags"]["gitSync"], "repo": repo, "credentialsSecret": self.secret}}}

    def pods(self) -> dict[str, tuple[str, list[int]]]:
        """Give uid and restarts of Airflow's container of the pods that follow it, by component."""
        those = "app.kubernetes.io/component in (scheduler,dag-processor)"
        found = {}
        for pod in self.stack.get("pods", "-n", NAMESPACE, "-l", those)["items"]:
            restarts = [one["restartCount"] for one in pod["status"]["containerStatuses"]]
            found[pod["metadata"]["labels"]["app.kubernetes.io/component"]] = (pod["metadata"]["uid"], restarts)
        return found


@pytest.fixture
def behind(stack: Stack, airflow: AirflowApi, tmp_path: Path) -> Iterator[Behind]:
    try:
        with run_private_git(stack) as server:
            yield Behind(stack, server, tmp_path / "behind.yaml")
            install_release(Steps(), stack)
            # Airflow keeps the DAGs of a place that it no longer looks into.
            airflow.delete(f"dags/{Behind.dag}")
    finally:
        stack.kubectl("delete", "secret", Behind.secret, "-n", NAMESPACE, "--ignore-not-found")


def test_a_password_opens_a_private_one_and_a_new_one_is_used_without_a_restart_of_airflow(
    stack: Stack, airflow: AirflowApi, behind: Behind
):
    behind.commit("first")
    behind.let_in("brook")
    behind.values.write_text(yaml.safe_dump(behind.followed(behind.server.http_url("dags"))))
    install_release(Steps(), stack, behind.values)
    wait_for_tag(airflow, behind.dag, "first")
    pods = behind.pods()
    behind.let_in("stone")
    behind.commit("second")
    # git-sync starts again, with longer and longer pauses, until the kubelet has brought the new password.
    wait_for_tag(airflow, behind.dag, "second", deadline_s=420)
    assert behind.pods() == pods
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


def test_a_key_opens_one_over_ssh_for_the_sidecars_and_for_the_pod_of_a_single_task(
    stack: Stack, airflow: AirflowApi, behind: Behind
):
    behind.commit("by-ssh")
    data = {"ssh-privatekey": behind.server.create_key(), "known_hosts": behind.server.read_host_key()}
    apply_credentials(stack, behind.secret, "ssh-auth", data)
    values = behind.followed(behind.server.ssh_url("dags"))
    with release_with_executor(stack, "KubernetesExecutor", behind.values, values):
        wait_for_tag(airflow, behind.dag, "by-ssh")
        run = Run(stack, airflow, behind.dag, airflow.trigger_run(behind.dag), "team-beta")
        assert run.wait_for_end() == "success", run.read_log()
