"""Real operations of the platform with an account's rights; each returns its output and its effect."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from cluster.support.pods.sleeper import POD
from cluster.support.rights.reduced_account import ReducedAccount
from common.paths import REPOSITORY
from stack.release import NAMESPACE

PROGRAMS = Path(__file__).parent
TEAM = "team-alpha"


@dataclass(frozen=True)
class Actor:
    """The account of the operations, and their other inputs."""

    account: ReducedAccount
    contract: Path
    programs: Path

    def run(self, *words: str | Path, stdin: str = "") -> str:
        """Run a program with the account's rights; return its output and exit code."""
        env = {
            "KUBECONFIG": str(self.account.kubeconfig),
            "HOME": str(
                self.account.kubeconfig.parent
            ),  # the folder of kubectl's cache, which would otherwise be in the checkout
            "KPO_PLATFORM_CONTRACT": str(self.contract),
            "PYTHONPATH": f"{REPOSITORY / 'platform'}:{REPOSITORY / 'tests'}",
            "PATH": f"{self.account.stack.programs}:/usr/bin:/bin",
            "NO_COLOR": "1",
        }
        process = subprocess.run(words, env=env, input=stdin, capture_output=True, text=True, timeout=180, check=False)
        return f"{process.stdout}{process.stderr}exit code {process.returncode}"


Operation = Callable[[Actor], str]


def run_task(kind: str) -> Operation:
    """Run a task of TeamPodOperator; return the state of its pod as well."""

    def run(actor: Actor) -> str:
        output = actor.run(sys.executable, PROGRAMS / "task_program.py", kind)
        pods = actor.account.stack.get("pods", "-n", TEAM, "-l", "dag_id=mutation")["items"]
        remaining = [pod["metadata"] for pod in pods if "deletionTimestamp" not in pod["metadata"]]
        handled = [meta["labels"].get("already_checked", "no") for meta in remaining]
        actor.account.stack.kubectl("delete", "pods", "-n", TEAM, "-l", "dag_id=mutation", "--grace-period=1")
        return f"{output}\npods left: {len(remaining)}, marked as handled: {', '.join(handled)}"

    return run


def handle_worker_pod(actor: Actor) -> str:
    """Handle a worker pod as KubernetesExecutor does."""
    output = actor.run(sys.executable, PROGRAMS / "worker_program.py", NAMESPACE)
    actor.account.stack.kubectl("delete", "pods", "-n", NAMESPACE, "-l", "dag_id=mutation", "--grace-period=1")
    return output


def bootstrap_team(actor: Actor) -> str:
    """Create team beta's Secret, claim and, if it differs, connection."""
    for kind, name in {"secret": "regcred", "pvc": "data"}.items():
        actor.account.stack.kubectl("delete", kind, name, "-n", "team-beta", "--ignore-not-found")
    login = {"auths": {"registry.kpo-platform.test": {"username": "u", "password": "p"}}}
    words = ("bootstrap", "--team", "beta", "--yes", "--registry-config", "-")
    return actor.run(actor.programs / "platformctl", *words, stdin=json.dumps(login))


def list_teams(actor: Actor) -> str:
    """List the teams, including removed ones."""
    return actor.run(actor.programs / "platformctl", "teams", "list")


def run_doctor(actor: Actor) -> str:
    """Check the installation."""
    return actor.run(actor.programs / "platformctl", "doctor")


def call_chart_script(name: str, call: str, **env: str) -> Operation:
    """Call a function of a chart script with the account's token."""

    def run(actor: Actor) -> str:
        folder = actor.account.kubeconfig.parent
        config = json.loads(actor.account.kubeconfig.read_text())
        (folder / "token").write_text(config["users"][0]["user"]["token"])
        ca_certificate = config["clusters"][0]["cluster"]["certificate-authority-data"]
        (folder / "ca.crt").write_bytes(base64.b64decode(ca_certificate))
        server = urlsplit(config["clusters"][0]["cluster"]["server"])
        variables = {"KUBERNETES_SERVICE_HOST": server.hostname, "KUBERNETES_SERVICE_PORT_HTTPS": server.port, **env}
        scripts = REPOSITORY / "helm" / "kpo-platform" / "files" / "scripts"
        program = (
            f"import os, sys; sys.path.insert(0, {str(scripts)!r}); import pathlib, {name}; "
            f"{name}.ACCOUNT = pathlib.Path({str(folder)!r}); "
            f"os.environ.update({ {key: str(value) for key, value in variables.items()}!r}); {name}.{call}"
        )
        return actor.run(sys.executable, "-c", program)

    return run


def delete_finished_pod(actor: Actor) -> str:
    """Delete a finished pod."""
    pod = {**POD, "metadata": {"name": "mutation-finished", "labels": {"kpo-platform/team": "alpha"}}}
    pod["spec"] = {**POD["spec"], "restartPolicy": "Never"}
    pod["spec"]["containers"] = [{**POD["spec"]["containers"][0], "command": ["true"]}]
    stack = actor.account.stack
    stack.kubectl("apply", "-n", TEAM, "-f", "-", stdin=json.dumps(pod))
    condition = "--for=jsonpath={.status.phase}=Succeeded"
    stack.kubectl("wait", "pod/mutation-finished", "-n", TEAM, condition, "--timeout=60s", timeout_s=70)
    team = {"namespace": TEAM, "cleanup": {"maxAge": -60}}
    output = call_chart_script("delete_finished_pods", f"delete_old_pods('alpha', {team!r})")(actor)
    stack.kubectl("delete", "pod", "mutation-finished", "-n", TEAM, "--ignore-not-found")
    return output


def create_secret(actor: Actor) -> str:
    """Create one of the platform's Secrets under another name."""
    actor.account.stack.kubectl("delete", "secret", "mutation", "-n", NAMESPACE, "--ignore-not-found")
    return call_chart_script(
        "create_secrets", "main()", NAMESPACE=NAMESPACE, SECRETS='{"jwt-secret": "mutation"}', EXISTING_SECRETS="{}"
    )(actor)


def run_kubectl(words: str) -> Operation:
    """Run a kubectl command of a team member; stop a watch after two seconds."""

    def run(actor: Actor) -> str:
        stop = ("timeout", "2") if "--watch" in words else ()
        return actor.run(*stop, "kubectl", "-n", TEAM, *words.format(event=event_name(actor)).split())

    return run


def get_first(resource: str) -> Operation:
    """Return the kubectl operation that gets an object of the cluster by its name."""

    def run(actor: Actor) -> str:
        name = actor.account.stack.get(resource)["items"][0]["metadata"]["name"]
        return actor.run("kubectl", "get", resource, name)

    return run


def event_name(actor: Actor) -> str:
    """Return the name of an event in the team's namespace."""
    return str(actor.account.stack.get("events", "-n", TEAM)["items"][0]["metadata"]["name"])


def read_operations(resource: str, name: str) -> dict[tuple[str, str], Operation]:
    """Return the kubectl operations on read-only objects."""
    return {
        ("get", resource): run_kubectl(f"get {resource} {name}"),
        ("list", resource): run_kubectl(f"get {resource}"),
        ("watch", resource): run_kubectl(f"get {resource} --watch"),
    }
