"""A team's private repository: its Secret may come late and may change; nothing of Airflow starts again for it."""

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

FETCHING = ("deployment/airflow-dag-processor", "statefulset/airflow-scheduler")
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
class Vault:
    """Team vault, and the server of its repository."""

    stack: Stack
    airflow: AirflowApi
    server: PrivateGit
    values: Path

    def commit(self, text: str) -> str:
        """Push a DAG that gives this text; gives the commit."""
        return self.server.commit_file("vault", "vault_read.py", DAG.format(text=text))

    def password(self, secret: str, password: str) -> None:
        """Make a Secret with this password for the repository."""
        apply_credentials(self.stack, secret, "basic-auth", {"username": USER, "password": password})

    def upgrade(self, secret: str, repo: str = "", **dags: str) -> None:
        """Let the release have team vault, whose repository this Secret opens."""
        own = {"repo": repo or self.server.http_url("vault"), "refreshInterval": 5, "credentialsSecret": secret}
        self.values.write_text(yaml.safe_dump({"teams": {"vault": {"dags": own, "volumes": []}}, "dags": dags}))
        install_release(Steps(), self.stack, self.values)

    def job_said(self, sentence: str) -> None:
        """Wait until a job team-settings has said so."""
        words = ("logs", "-n", NAMESPACE, "-l", "app.kubernetes.io/component=team-settings", "--tail=-1")

        def probe() -> None:
            try:
                log = self.stack.kubectl(*words)
            except ScriptError as error:  # its container has not started
                raise NotYet(str(error)) from None
            if sentence not in log:
                raise NotYet(f"its log ends with {log[-300:]!r}")

        wait_for(f"the job to say {sentence!r}", probe, 240)

    def result(self) -> str:
        """Run the DAG and give what its task returned."""
        run = self.airflow.trigger_run("vault_read")
        assert self.airflow.wait_for_run("vault_read", run) == "success"
        return str(self.airflow.read_xcom("vault_read", run, "read"))

    def airflow_pods(self) -> dict[str, str]:
        """The uids of Airflow's running pods, by component."""
        words = (
            "-n",
            NAMESPACE,
            "-l",
            f"app.kubernetes.io/instance={RELEASE}",
            "--field-selector=status.phase=Running",
        )
        pods = [pod["metadata"] for pod in self.stack.get("pods", *words)["items"]]
        parts = {meta["labels"]["app.kubernetes.io/component"]: meta["uid"] for meta in pods}
        return {part: uid for part, uid in parts.items() if part != "team-settings"}


@pytest.fixture(scope="module")
def vault(stack: Stack, airflow: AirflowApi, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vault]:
    """A git server that asks who is there, and the team; all of it goes again."""
    forget(stack)
    try:
        with run_private_git(stack) as server:
            yield Vault(stack, airflow, server, tmp_path_factory.mktemp("vault") / "values.yaml")
    finally:
        install_release(Steps(), stack)
        forget(stack)


def forget(stack: Stack) -> None:
    """Remove what the tests made outside of the release."""
    stack.kubectl("delete", "secret", *SECRETS, "-n", NAMESPACE, "--ignore-not-found")
    stack.kubectl("delete", "namespace", "team-vault", "--ignore-not-found", timeout_s=120)
    for pod in FETCHING:  # the next server of this name has another key
        stack.kubectl("exec", "-n", NAMESPACE, pod, "--", "rm", "-f", "/home/airflow/.ssh/known_hosts")


def test_a_repository_is_read_as_soon_as_its_secret_is_there(vault: Vault):
    version = vault.commit("one")
    vault.server.set_password("first")
    vault.upgrade("vault-git")
    vault.job_said("connection git-vault: secret vault-git is missing, or has neither `password` nor `ssh-privatekey`")
    assert vault.airflow.get("pools/team-vault")["slots"] == 128
    before = vault.airflow_pods()
    vault.password("vault-git", "first")
    vault.airflow.wait_for_version("vault_read", version, 300)
    assert vault.result() == "one"
    assert vault.airflow_pods() == before


def test_a_new_password_is_used_and_nothing_starts_again(vault: Vault):
    before = vault.airflow_pods()
    vault.server.set_password("second")
    version = vault.commit("two")
    vault.password("vault-git-2", "second")
    vault.upgrade("vault-git-2")
    vault.airflow.wait_for_version("vault_read", version, 300)
    assert vault.result() == "two"
    assert vault.airflow_pods() == before


def test_no_log_and_no_configmap_has_the_password(vault: Vault):
    for part in ("dag-processor", "scheduler", "team-settings"):
        words = ("logs", "-n", NAMESPACE, "-l", f"app.kubernetes.io/component={part}", "--tail=-1")
        log = vault.stack.kubectl(*words)
        assert (log != "", f"{USER}:" in log, "first" in log.split(), "second" in log.split()) == (True, *[False] * 3)
    config = vault.stack.kubectl("get", "configmaps", "-n", NAMESPACE, "-o", "yaml")
    assert "vault-git-2" in config and f"{USER}:" not in config


def failed_job(stack: Stack) -> str:
    """Let the newest job team-settings try no more, which would take an hour, and give its name once it has failed."""
    jobs = stack.get("jobs", "-n", NAMESPACE, "-l", "app.kubernetes.io/component=team-settings")["items"]
    name = str(max(jobs, key=lambda job: str(job["metadata"]["creationTimestamp"]))["metadata"]["name"])
    stack.kubectl("patch", "job", name, "-n", NAMESPACE, "-p", '{"spec": {"backoffLimit": 0}}')
    stack.kubectl("wait", f"job/{name}", "-n", NAMESPACE, "--for=condition=Failed", "--timeout=300s", timeout_s=310)
    return name


def test_a_job_that_failed_runs_again_as_the_page_says(vault: Vault, programs: Path):
    vault.upgrade("vault-git-3")
    job = failed_job(vault.stack)
    words = [programs / "platformctl", "doctor"]
    doctor = subprocess.run(
        words, env=vault.stack.environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert f"kubectl -n {NAMESPACE} delete job {job}, and upgrade with helm" in doctor.stdout
    vault.password("vault-git-3", "second")
    (block,) = read_commands("upgrade.md", "Failed Jobs")
    printed = run_commands(vault.stack, block, REPOSITORY)
    assert "connection git-vault: secret vault-git-3 is missing" in printed
    assert f"job.batch/{job} condition met" in printed
    assert vault.result() == "two"


def test_by_ssh_a_key_opens_it_and_the_server_is_trusted_when_it_is_first_seen(vault: Vault):
    apply_credentials(vault.stack, "vault-key", "ssh-auth", {"ssh-privatekey": vault.server.create_key()})
    version = vault.commit("three")
    vault.upgrade("vault-key", vault.server.ssh_url("vault"))
    reached(vault.stack, "airflow.cfg", vault.server.ssh_url("vault"))
    vault.airflow.wait_for_version("vault_read", version, 300)
    assert vault.result() == "three"


def test_by_ssh_a_server_is_not_spoken_to_that_has_another_key_than_the_values_say(vault: Vault):
    wrong, key = another(vault.server.read_host_key()), vault.server.create_key()
    apply_credentials(vault.stack, "vault-key-2", "ssh-auth", {"ssh-privatekey": key})
    version = vault.commit("four")
    vault.upgrade("vault-key-2", vault.server.ssh_url("vault"), knownHosts=wrong)
    vault.job_said("connection git-vault: made from secret vault-key-2")
    reached(vault.stack, "known_hosts", wrong)
    wait_for("a fetch that fails after that", Failing(vault.stack), 60)
    vault.upgrade("vault-key-2", vault.server.ssh_url("vault"), knownHosts=vault.server.read_host_key())
    reached(vault.stack, "known_hosts", vault.server.read_host_key())
    vault.airflow.wait_for_version("vault_read", version, 300)
    assert vault.result() == "four"


def another(host_key: str) -> str:
    """A key that the server does not have."""
    return f"{host_key.strip()[:-4]}AAAA\n"


def reached(stack: Stack, file: str, words: str) -> None:
    """Wait until all who fetch have these words in a file of their settings, some time after the upgrade."""
    script = f"cat /opt/kpo-platform/config/{file} || true"

    def probe() -> None:
        for pod in FETCHING:
            if words not in (found := stack.kubectl("exec", "-n", NAMESPACE, pod, "--", "sh", "-c", script)):
                raise NotYet(f"{pod} has {found[-300:]!r}")

    wait_for(f"{words!r} to be in {file} of DAG processor and scheduler", probe, 240)


class Failing:
    """The DAG processor says that it could not fetch, from now on: what it said before had other reasons."""

    def __init__(self, stack: Stack) -> None:
        self.stack, self.since = stack, datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def __call__(self) -> None:
        words = ("logs", "-n", NAMESPACE, "deployment/airflow-dag-processor", f"--since-time={self.since}")
        log = self.stack.kubectl(*words)
        if "Could not read from remote repository" not in log:
            raise NotYet(f"its log ends with {log[-300:]!r}")
