"""From a bare machine to a stack that is ready for DAGs. Every step may be cut off and taken again."""

from __future__ import annotations

import base64
import json
import secrets
import sys
from pathlib import Path

from common.background import run_in_background
from common.command import capture_output
from common.mutex import hold_lock
from common.paths import cache_path
from common.python_env import ensure_environment
from common.steps import Steps
from images.build import build_images
from local_cluster import cluster
from stack.release import CHART, MANIFESTS, NAMESPACE, RELEASE, VALUES, Stack


def install_stack(steps: Steps) -> Stack:
    """Bring up cluster, images, Airflow and the teams; what already stands is left as it is.

    Raises:
        ScriptError: a step could not be completed; says which and why.
    """
    with hold_lock(cache_path("stack.lock"), "bringing the stack up", steps.note):
        return _bring_up(steps)


def _bring_up(steps: Steps) -> Stack:
    with steps.step("Create the Python environment (.venv)") as step:
        programs = ensure_environment(step.detail)
    build(steps)
    with steps.step("Start Kubernetes"):
        cluster.up(steps)
    with steps.step("Load images into the cluster") as step:
        cluster.load(build_images(step.detail).values(), step.detail)
    stack = Stack(cluster.kubeconfig(), cluster.programs())
    with steps.step("Start a git server for the teams' DAGs"):
        stack.kubectl("apply", "--server-side", "-f", MANIFESTS / "git-server.yaml")
        stack.kubectl("rollout", "status", "-n", "git", "deployment/git-server", "--timeout=120s", timeout_s=130)
    install(steps, stack)
    bootstrap(steps, stack, programs)
    return stack


def build(steps: Steps) -> None:
    """Build the cluster's programs, which needs the processor, beside the images, which wait for the network."""
    whole = steps.step("Build cluster programs and images (15 minutes on a fresh machine)")
    with whole as step, run_in_background("images", [sys.executable, "-m", "images.build"]):
        cluster.build_programs(step.detail)


def install(steps: Steps, stack: Stack, *more_values: Path, packaged: Path = CHART) -> None:
    """Install the chart of this checkout, or upgrade to it, and wait until everything is healthy.

    Args:
        steps: told about progress.
        stack: the cluster.
        more_values: files of values on top of those of the local cluster.
        packaged: the chart in another form than that of this checkout's folder.
    """
    with steps.step("helm upgrade --install --wait: Airflow and the teams") as step:
        stack.kubectl("apply", "--server-side", "-f", "-", stdin=_release_namespace())
        _forget_interrupted(stack)
        chart: list[str | Path] = ["upgrade", "--install", RELEASE, packaged, "--namespace", NAMESPACE]
        values = [word for file in (VALUES, *more_values) for word in ("--values", file)]
        stack.helm([*chart, *values, "--wait", "--timeout", "10m"], step.detail, timeout_s=630)


def _forget_interrupted(stack: Stack) -> None:
    """Remove Helm's note of an operation that was cut off: Helm refuses every further one while it stands.

    What the operation made stays and belongs to the release still, so the next one takes it over.
    """
    pending = "owner=helm,status in (pending-install,pending-upgrade,pending-rollback)"
    stack.kubectl("delete", "secret", "-n", NAMESPACE, "-l", f"{pending},name={RELEASE}")


def bootstrap(steps: Steps, stack: Stack, programs: Path) -> None:
    """Run `platformctl bootstrap`: connection, registry secret, volume claims."""
    with steps.step("platformctl bootstrap: connection, registry secret, volumes"):
        words: list[str | Path] = [programs / "platformctl", "bootstrap", "--yes", "--registry-config", "-"]
        capture_output(words, env=stack.variables, stdin=login(stack), timeout_s=300)


def login(stack: Stack) -> str:
    """Give the sign-in that a team has already, so that nothing changes, or a made-up one.

    A registry to sign in to comes with a company; the local cluster has none, so its password is made up, once.
    """
    made = stack.get("secrets", "-A", "--field-selector=metadata.name=regcred")["items"]
    if made:
        return base64.b64decode(made[0]["data"][".dockerconfigjson"]).decode()
    sign_in = {"username": "quickstart", "password": secrets.token_urlsafe(24)}
    return json.dumps({"auths": dict.fromkeys(_registries(stack), sign_in)})


def _registries(stack: Stack) -> set[str]:
    """Give the hosts of the teams' registries, as the contract has them."""
    contract = stack.contract()
    teams = ({**contract["teamDefaults"], **own} for own in contract["teams"].values())
    return {team["registry"]["host"] for team in teams}


def _release_namespace() -> str:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    return json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}})
