"""A team's private repository: its Secret can be created later and changed, without restarts of Airflow."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from cluster.support.docs.commands import read_commands, run_commands
from cluster.support.services.private_git import USER, PrivateGit, apply_credentials, run_private_git
from common.errors import ScriptError
from common.paths import REPOSITORY
from common.polling import NotYet, wait_for
from common.steps import Steps
from stack.airflow_api import AirflowApi
from stack.install import install_release
from stack.release import NAMESPACE, RELEASE, Stack

FETCHERS = ("deployment/airflow-dag-processor", "statefulset/airflow-scheduler")
FIRST, SECOND = "vault-password-1", "vault-password-2"
"""The passwords of the repository. No log contains them by chance."""

SECRETS = ("vault-git", "vault-git-2", "vault-git-3", "vault-key", "vault-key-2")
DAG = """
from airflow.sdk import DAG, task

with DAG("vault_read", schedule=None):

    @task
    def read():
        return "{text}"

    read()
"""


@dataclass
class VaultTeam:
    """Team vault, and the server of its repository."""

    stack: Stack
    airflow: AirflowApi
    server: PrivateGit
    values: Path

    def commit(self, text: str) -> str:
        """Push a DAG that returns this text; return the commit."""
        return self.server.commit_file("vault", "vault_read.py", DAG.format(text=text))

    def create_password_secret(self, secret: str, password: str) -> None:
        """Create a Secret with a password for the repository."""
        apply_credentials(self.stack, secret, "basic-auth", {"username": USER, "password": password})

    def upgrade(self, secret: str, repo: str = "", **dags: str) -> None:
        """Upgrade the release to a team vault that uses this Secret for its repository."""
        team_dags = {"repo": repo or self.server.http_url("vault"), "refreshInterval": 5, "credentialsSecret": secret}
        self.values.write_text(yaml.safe_dump({"teams": {"vault": {"dags": team_dags, "volumes": []}}, "dags": dags}))
        install_release(Steps(), self.stack, self.values)

    def wait_for_job_log(self, message: str) -> None:
        """Wait until a team-settings Job has logged a message."""
        options = ("logs", "-n", NAMESPACE, "-l", "app.kubernetes.io/component=team-settings", "--tail=-1")

        def probe() -> None:
            try:
                log = self.stack.kubectl(*options)
            except ScriptError as error:  # the container has not started
                raise NotYet(str(error)) from None
            if message not in log:
                raise NotYet(f"its log ends with {log[-300:]!r}")

        wait_for(f"the Job to log {message!r}", probe, 240)

    def run_dag(self) -> str:
        """Run the DAG and return its task's result."""
        run = self.airflow.trigger_run("vault_read")
        assert self.airflow.wait_for_run("vault_read", run) == "success"
        return str(self.airflow.read_xcom("vault_read", run, "read"))

    def airflow_pods(self) -> dict[str, str]:
        """Return the uids of Airflow's running pods by component."""
        options = (
            "-n",
            NAMESPACE,
            "-l",
            f"app.kubernetes.io/instance={RELEASE}",
            "--field-selector=status.phase=Running",
        )
        pods = [pod["metadata"] for pod in self.stack.get("pods", *options)["items"]]
        pods_by_component = {meta["labels"]["app.kubernetes.io/component"]: meta["uid"] for meta in pods}
        return {component: uid for component, uid in pods_by_component.items() if component != "team-settings"}


@pytest.fixture(scope="module")
def team(stack: Stack, airflow: AirflowApi, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VaultTeam]:
    """A git server with authentication, and the team; both are deleted afterwards."""
    delete_objects(stack)
    try:
        with run_private_git(stack) as server:
            yield VaultTeam(stack, airflow, server, tmp_path_factory.mktemp("vault") / "values.yaml")
    finally:
        install_release(Steps(), stack)
        delete_objects(stack)


def delete_objects(stack: Stack) -> None:
    """Delete the objects that the tests create outside the release."""
    stack.kubectl("delete", "secret", *SECRETS, "-n", NAMESPACE, "--ignore-not-found")
    stack.kubectl("delete", "namespace", "team-vault", "--ignore-not-found", timeout_s=120)
    for pod in FETCHERS:  # the next server with this name has another key
        stack.kubectl("exec", "-n", NAMESPACE, pod, "--", "rm", "-f", "/home/airflow/.ssh/known_hosts")


def test_repository_is_read_once_its_secret_exists(team: VaultTeam):
    version = team.commit("one")
    team.server.set_password(FIRST)
    team.upgrade("vault-git")
    team.wait_for_job_log(
        "Connection git-vault cannot be created: Secret vault-git is missing, or has neither `password` nor "
        "`ssh-privatekey`."
    )
    assert team.airflow.get("pools/team-vault")["slots"] == 128
    before = team.airflow_pods()
    team.create_password_secret("vault-git", FIRST)
    team.airflow.wait_for_version("vault_read", version, 300)
    assert team.run_dag() == "one"
    assert team.airflow_pods() == before


def test_new_password_is_used_without_restarts(team: VaultTeam):
    before = team.airflow_pods()
    team.server.set_password(SECOND)
    version = team.commit("two")
    team.create_password_secret("vault-git-2", SECOND)
    team.upgrade("vault-git-2")
    team.airflow.wait_for_version("vault_read", version, 300)
    assert team.run_dag() == "two"
    assert team.airflow_pods() == before


def test_password_is_in_no_log_and_no_configmap(team: VaultTeam):
    for component in ("dag-processor", "scheduler", "team-settings"):
        options = ("logs", "-n", NAMESPACE, "-l", f"app.kubernetes.io/component={component}", "--tail=-1")
        log = team.stack.kubectl(*options)
        assert (log != "", f"{USER}:" in log, FIRST in log, SECOND in log) == (True, *[False] * 3)
    config = team.stack.kubectl("get", "configmaps", "-n", NAMESPACE, "-o", "yaml")
    assert "vault-git-2" in config and f"{USER}:" not in config


def make_newest_job_fail(stack: Stack) -> str:
    """Make the newest team-settings Job fail now, and return its name.

    Its retries would take an hour.
    """
    jobs = stack.get("jobs", "-n", NAMESPACE, "-l", "app.kubernetes.io/component=team-settings")["items"]
    name = str(max(jobs, key=lambda job: str(job["metadata"]["creationTimestamp"]))["metadata"]["name"])
    stack.kubectl("patch", "job", name, "-n", NAMESPACE, "-p", '{"spec": {"backoffLimit": 0}}')
    stack.kubectl("wait", f"job/{name}", "-n", NAMESPACE, "--for=condition=Failed", "--timeout=300s", timeout_s=310)
    return name


def test_failed_job_is_repeated_with_the_documented_commands(team: VaultTeam, programs: Path):
    team.upgrade("vault-git-3")
    job = make_newest_job_fail(team.stack)
    command = [programs / "platformctl", "doctor"]
    doctor = subprocess.run(
        command, env=team.stack.environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert f"run kubectl -n {NAMESPACE} delete job {job}, then upgrade with helm" in doctor.stdout
    team.create_password_secret("vault-git-3", SECOND)
    (block,) = read_commands("upgrade.md", "Failed Jobs")
    printed = run_commands(team.stack, block, REPOSITORY)
    assert "Connection git-vault cannot be created: Secret vault-git-3 is missing" in printed
    assert f"job.batch/{job} condition met" in printed
    assert team.run_dag() == "two"


def test_ssh_key_works_and_the_host_key_is_trusted_on_first_use(team: VaultTeam):
    apply_credentials(team.stack, "vault-key", "ssh-auth", {"ssh-privatekey": team.server.create_key()})
    version = team.commit("three")
    team.upgrade("vault-key", team.server.ssh_url("vault"))
    wait_for_config(team.stack, "airflow.cfg", team.server.ssh_url("vault"))
    team.airflow.wait_for_version("vault_read", version, 300)
    assert team.run_dag() == "three"


def test_ssh_server_with_another_host_key_is_rejected(team: VaultTeam):
    wrong_key, key = change_key(team.server.read_host_key()), team.server.create_key()
    apply_credentials(team.stack, "vault-key-2", "ssh-auth", {"ssh-privatekey": key})
    version = team.commit("four")
    team.upgrade("vault-key-2", team.server.ssh_url("vault"), knownHosts=wrong_key)
    team.wait_for_job_log("Connection git-vault: created from Secret vault-key-2")
    wait_for_config(team.stack, "known_hosts", wrong_key)
    wait_for("a fetch that fails after that", FetchFailure(team.stack), 60)
    team.upgrade("vault-key-2", team.server.ssh_url("vault"), knownHosts=team.server.read_host_key())
    wait_for_config(team.stack, "known_hosts", team.server.read_host_key())
    team.airflow.wait_for_version("vault_read", version, 300)
    assert team.run_dag() == "four"


def change_key(host_key: str) -> str:
    """Return a host key that the server does not have."""
    return f"{host_key.strip()[:-4]}AAAA\n"


def wait_for_config(stack: Stack, file: str, text: str) -> None:
    """Wait until a settings file of all fetching pods contains a text.

    The kubelet updates the file some time after the upgrade.
    """
    script = f"cat /opt/kpo-platform/config/{file} || true"

    def probe() -> None:
        for pod in FETCHERS:
            if text not in (content := stack.kubectl("exec", "-n", NAMESPACE, pod, "--", "sh", "-c", script)):
                raise NotYet(f"{pod} has {content[-300:]!r}")

    wait_for(f"{text!r} to be in {file} of DAG processor and scheduler", probe, 240)


class FetchFailure:
    """Probe for a failed fetch in the DAG processor's log since now."""

    def __init__(self, stack: Stack) -> None:
        self.stack, self.since = stack, datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def __call__(self) -> None:
        options = ("logs", "-n", NAMESPACE, "deployment/airflow-dag-processor", f"--since-time={self.since}")
        log = self.stack.kubectl(*options)
        if "Could not read from remote repository" not in log:
            raise NotYet(f"its log ends with {log[-300:]!r}")
