"""A team's private repository: its Secret may come late and may change; nothing of Airflow starts again for it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from cluster.documented import commands, follow
from common.errors import ScriptError
from common.paths import REPOSITORY
from common.steps import Steps
from common.waiting import NotYet, wait_for
from road.airflow_api import AirflowApi
from road.bring_up import install
from road.stack import NAMESPACE, RELEASE, VALUES, Stack

SERVER = """
import base64, functools, http.server, pathlib

class Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        password = pathlib.Path("/tmp/password").read_text()
        wanted = "Basic " + base64.b64encode(f"deploy:{password}".encode()).decode()
        if self.headers.get("Authorization") == wanted:
            return super().do_GET()
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="git"')
        self.end_headers()

pathlib.Path("/tmp/password").touch()
http.server.ThreadingHTTPServer(("", 8080), functools.partial(Handler, directory="/tmp/git")).serve_forever()
"""
DAG = """
from airflow.sdk import DAG, task

with DAG("vault_read", schedule=None):

    @task
    def read():
        return "{text}"

    read()
"""
COMMIT = """
set -e
cd /tmp/git/work 2>/dev/null || {
  mkdir -p /tmp/git && cd /tmp/git && git init -q --bare -b main vault.git && git init -q -b main work && cd work
}
cat > vault_read.py
git add . && git -c user.name=t -c user.email=t@example.test commit -q -m more && git push -q ../vault.git HEAD:main
git -C ../vault.git update-server-info
git rev-parse HEAD
"""


@dataclass
class Vault:
    """Team vault, its repository and the server that asks for a password."""

    stack: Stack
    airflow: AirflowApi
    values: Path

    def shell(self, script: str, given: str) -> str:
        """Run a script in the server's pod with this standard input."""
        words = ("exec", "-i", "-n", "git", "private-git", "--", "sh", "-c", script)
        return self.stack.kubectl(*words, stdin=given)

    def commit(self, text: str) -> str:
        """Push a DAG that gives this text; gives the commit."""
        return self.shell(COMMIT, DAG.format(text=text)).split()[-1]

    def secret(self, name: str, password: str) -> None:
        """Make a Secret with the password for the repository."""
        data = {"username": "deploy", "password": password}
        meta = {"name": name, "namespace": NAMESPACE}
        secret = {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/basic-auth", "metadata": meta}
        self.stack.kubectl("apply", "-f", "-", stdin=json.dumps({**secret, "stringData": data}))

    def upgrade(self, secret: str) -> None:
        """Let the release have team vault, whose repository this Secret opens."""
        repo = "http://private-git.git.svc.cluster.local:8080/vault.git"
        dags = {"repo": repo, "refreshInterval": 5, "credentialsSecret": secret}
        self.values.write_text(yaml.safe_dump({"teams": {"vault": {"dags": dags, "volumes": []}}}))
        install(Steps(), self.stack, self.values)

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
        run = self.airflow.trigger("vault_read")
        assert self.airflow.wait_for_run("vault_read", run) == "success"
        return str(self.airflow.xcom("vault_read", run, "read"))

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
    """A git server that asks for a password, and the team; all of it goes again."""
    it = Vault(stack, airflow, tmp_path_factory.mktemp("vault") / "values.yaml")
    forget(stack)
    try:
        stack.kubectl("apply", "-f", "-", stdin=json.dumps(server()))
        stack.kubectl("wait", "pod/private-git", "-n", "git", "--for=condition=Ready", "--timeout=60s", timeout_s=70)
        yield it
    finally:
        install(Steps(), stack)
        forget(stack)


def server() -> dict[str, object]:
    """The server and its Service."""
    airflow = yaml.safe_load(VALUES.read_text())["images"]["airflow"]
    meta = {"name": "private-git", "namespace": "git", "labels": {"app": "private-git"}}
    container = {
        "name": "server",
        "image": f"{airflow['repository']}:{airflow['tag']}",
        "command": ["python", "-c", SERVER],
        "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    security = {"runAsNonRoot": True, "runAsUser": 50000, "seccompProfile": {"type": "RuntimeDefault"}}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": meta}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "private-git", "namespace": "git"}}
    return {
        "apiVersion": "v1",
        "kind": "List",
        "items": [
            {**pod, "spec": {"securityContext": security, "containers": [container]}},
            {**service, "spec": {"selector": {"app": "private-git"}, "ports": [{"port": 8080}]}},
        ],
    }


def forget(stack: Stack) -> None:
    """Remove what the tests made outside of the release."""
    stack.kubectl("delete", "pod,service", "private-git", "-n", "git", "--ignore-not-found", "--grace-period=1")
    stack.kubectl("delete", "secret", "vault-git", "vault-git-2", "vault-git-3", "-n", NAMESPACE, "--ignore-not-found")
    stack.kubectl("delete", "namespace", "team-vault", "--ignore-not-found", timeout_s=120)


def test_a_repository_is_read_as_soon_as_its_secret_is_there(vault: Vault):
    version = vault.commit("one")
    vault.shell("cat > /tmp/password", "first")
    vault.upgrade("vault-git")
    vault.job_said("connection git-vault: secret vault-git is missing, or has neither `password` nor `ssh-privatekey`")
    assert vault.airflow.get("pools/team-vault")["slots"] == 128
    before = vault.airflow_pods()
    vault.secret("vault-git", "first")
    vault.airflow.wait_for_version("vault_read", version, 300)
    assert vault.result() == "one"
    assert vault.airflow_pods() == before


def test_a_new_password_is_used_and_nothing_starts_again(vault: Vault):
    before = vault.airflow_pods()
    vault.shell("cat > /tmp/password", "second")
    version = vault.commit("two")
    vault.secret("vault-git-2", "second")
    vault.upgrade("vault-git-2")
    vault.airflow.wait_for_version("vault_read", version, 300)
    assert vault.result() == "two"
    assert vault.airflow_pods() == before


def test_no_log_and_no_configmap_has_the_password(vault: Vault):
    for part in ("dag-processor", "scheduler", "team-settings"):
        words = ("logs", "-n", NAMESPACE, "-l", f"app.kubernetes.io/component={part}", "--tail=-1")
        log = vault.stack.kubectl(*words)
        assert (log != "", "deploy:" in log, "first" in log.split(), "second" in log.split()) == (True, *[False] * 3)
    config = vault.stack.kubectl("get", "configmaps", "-n", NAMESPACE, "-o", "yaml")
    assert "vault-git-2" in config and "deploy:" not in config


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
    doctor = subprocess.run(words, env=vault.stack.variables, capture_output=True, text=True, timeout=120, check=False)
    assert f"kubectl -n {NAMESPACE} delete job {job}, and upgrade with helm" in doctor.stdout
    vault.secret("vault-git-3", "second")
    (block,) = commands("A Job that failed")
    printed = follow(vault.stack, block, REPOSITORY)
    assert "connection git-vault: secret vault-git-3 is missing" in printed
    assert f"job.batch/{job} condition met" in printed
    assert vault.result() == "two"
