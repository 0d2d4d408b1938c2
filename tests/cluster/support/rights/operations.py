"""Real operations of the product, done with somebody's rights; each gives all that was said, and what became of it."""

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
from cluster.support.rights.reduced_account import Mutant
from common.paths import REPOSITORY
from stack.release import NAMESPACE

PROGRAMS = Path(__file__).parent
TEAM = "team-alpha"


@dataclass(frozen=True)
class Somebody:
    """Whose rights are tried, and what the operations need besides."""

    mutant: Mutant
    contract: Path
    programs: Path

    def run(self, *words: str | Path, stdin: str = "") -> str:
        """Run a program with the rights that are tried; give all its output, with its exit code at the end."""
        env = {
            "KUBECONFIG": str(self.mutant.kubeconfig),
            "HOME": str(self.mutant.kubeconfig.parent),  # kubectl keeps its cache there, or else in the checkout
            "KPO_PLATFORM_CONTRACT": str(self.contract),
            "PYTHONPATH": f"{REPOSITORY / 'platform'}:{REPOSITORY / 'tests'}",
            "PATH": f"{self.mutant.stack.programs}:/usr/bin:/bin",
            "NO_COLOR": "1",
        }
        done = subprocess.run(words, env=env, input=stdin, capture_output=True, text=True, timeout=180, check=False)
        return f"{done.stdout}{done.stderr}exit code {done.returncode}"


Operation = Callable[[Somebody], str]


def task(kind: str) -> Operation:
    """Run a task of TeamPodOperator; tell what became of its pod as well."""

    def run(who: Somebody) -> str:
        output = who.run(sys.executable, PROGRAMS / "task_program.py", kind)
        pods = who.mutant.stack.get("pods", "-n", TEAM, "-l", "dag_id=mutation")["items"]
        left = [pod["metadata"] for pod in pods if "deletionTimestamp" not in pod["metadata"]]
        handled = [meta["labels"].get("already_checked", "no") for meta in left]
        who.mutant.stack.kubectl("delete", "pods", "-n", TEAM, "-l", "dag_id=mutation", "--grace-period=1")
        return f"{output}\npods left: {len(left)}, marked as handled: {', '.join(handled)}"

    return run


def worker(who: Somebody) -> str:
    """Handle a worker's pod as KubernetesExecutor does."""
    output = who.run(sys.executable, PROGRAMS / "worker_program.py", NAMESPACE)
    who.mutant.stack.kubectl("delete", "pods", "-n", NAMESPACE, "-l", "dag_id=mutation", "--grace-period=1")
    return output


def bootstrap(who: Somebody) -> str:
    """Make team beta's secret and claim, and the connection where it is not as it should be."""
    for kind, name in {"secret": "regcred", "pvc": "data"}.items():
        who.mutant.stack.kubectl("delete", kind, name, "-n", "team-beta", "--ignore-not-found")
    login = {"auths": {"registry.kpo-platform.test": {"username": "u", "password": "p"}}}
    words = ("bootstrap", "--team", "beta", "--yes", "--registry-config", "-")
    return who.run(who.programs / "platformctl", *words, stdin=json.dumps(login))


def list_teams(who: Somebody) -> str:
    """List the teams, those that are gone among them."""
    return who.run(who.programs / "platformctl", "teams", "list")


def doctor(who: Somebody) -> str:
    """Look at the installation."""
    return who.run(who.programs / "platformctl", "doctor")


def script(name: str, call: str, **env: str) -> Operation:
    """Call a function of a script that the chart runs in a pod, with the account's token where a pod has it."""

    def run(who: Somebody) -> str:
        account = who.mutant.kubeconfig.parent
        config = json.loads(who.mutant.kubeconfig.read_text())
        (account / "token").write_text(config["users"][0]["user"]["token"])
        authority = config["clusters"][0]["cluster"]["certificate-authority-data"]
        (account / "ca.crt").write_bytes(base64.b64decode(authority))
        server = urlsplit(config["clusters"][0]["cluster"]["server"])
        variables = {"KUBERNETES_SERVICE_HOST": server.hostname, "KUBERNETES_SERVICE_PORT_HTTPS": server.port, **env}
        folder = REPOSITORY / "helm" / "kpo-platform" / "files" / "scripts"
        program = (
            f"import os, sys; sys.path.insert(0, {str(folder)!r}); import pathlib, {name}; "
            f"{name}.ACCOUNT = pathlib.Path({str(account)!r}); "
            f"os.environ.update({ {key: str(value) for key, value in variables.items()}!r}); {name}.{call}"
        )
        return who.run(sys.executable, "-c", program)

    return run


def clean_up(who: Somebody) -> str:
    """Remove a finished pod."""
    pod = {**POD, "metadata": {"name": "mutation-finished", "labels": {"kpo-platform/team": "alpha"}}}
    pod["spec"] = {**POD["spec"], "restartPolicy": "Never"}
    pod["spec"]["containers"] = [{**POD["spec"]["containers"][0], "command": ["true"]}]
    stack = who.mutant.stack
    stack.kubectl("apply", "-n", TEAM, "-f", "-", stdin=json.dumps(pod))
    ended = "--for=jsonpath={.status.phase}=Succeeded"
    stack.kubectl("wait", "pod/mutation-finished", "-n", TEAM, ended, "--timeout=60s", timeout_s=70)
    team = {"namespace": TEAM, "cleanup": {"maxAge": -60}}
    output = script("delete_finished_pods", f"clean_up('alpha', {team!r})")(who)
    stack.kubectl("delete", "pod", "mutation-finished", "-n", TEAM, "--ignore-not-found")
    return output


def make_secret(who: Somebody) -> str:
    """Make one of the platform's secrets, under another name."""
    who.mutant.stack.kubectl("delete", "secret", "mutation", "-n", NAMESPACE, "--ignore-not-found")
    return script(
        "create_secrets", "main()", NAMESPACE=NAMESPACE, SECRETS='{"jwt-secret": "mutation"}', EXISTING_SECRETS="{}"
    )(who)


def kubectl(words: str) -> Operation:
    """A command of kubectl, as a person of the team types it; one that watches is ended after two seconds."""

    def run(who: Somebody) -> str:
        stop = ("timeout", "2") if "--watch" in words else ()
        return who.run(*stop, "kubectl", "-n", TEAM, *words.format(event=an_event(who)).split())

    return run


def an_event(who: Somebody) -> str:
    """The name of an event in the team's namespace."""
    return str(who.mutant.stack.get("events", "-n", TEAM)["items"][0]["metadata"]["name"])


def looked_at(resource: str, name: str) -> dict[tuple[str, str], Operation]:
    """What a person does with objects that may be seen and not changed."""
    return {
        ("get", resource): kubectl(f"get {resource} {name}"),
        ("list", resource): kubectl(f"get {resource}"),
        ("watch", resource): kubectl(f"get {resource} --watch"),
    }
