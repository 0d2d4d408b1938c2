"""Installation of the whole stack on a bare machine. Every step can be interrupted and repeated."""

from __future__ import annotations

import base64
import json
import secrets
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

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
    """Start the cluster, load the images, install Airflow and the teams.

    Steps that are up to date change nothing.

    Raises:
        ScriptError: a step failed; names the step and the cause.
    """
    with hold_lock(cache_path("stack.lock"), "installing the stack", steps.note):
        return _install_stack(steps)


def _install_stack(steps: Steps) -> Stack:
    with steps.step("Create the Python environment (.venv)") as step:
        programs = ensure_environment(step.detail)
    build_images_and_programs(steps)
    with steps.step("Start Kubernetes"):
        cluster.up(steps)
    with steps.step("Load images into the cluster") as step:
        cluster.load(build_images(step.detail).values(), step.detail)
    stack = Stack(cluster.kubeconfig_path(), cluster.programs_folder())
    with steps.step("Start a git server for the teams' DAGs"):
        stack.kubectl("apply", "--server-side", "-f", MANIFESTS / "git-server.yaml")
        stack.kubectl("rollout", "status", "-n", "git", "deployment/git-server", "--timeout=120s", timeout_s=130)
    install_release(steps, stack)
    run_bootstrap(steps, stack, programs)
    return stack


def build_images_and_programs(steps: Steps) -> None:
    """Build the cluster's programs, which is CPU-bound, in parallel with the images, which waits for downloads."""
    build_step = steps.step("Build cluster programs and images (15 minutes on a fresh machine)")
    with build_step as step, run_in_background("images", [sys.executable, "-m", "images.build"]):
        cluster.build_programs(step.detail)


def install_release(steps: Steps, stack: Stack, *more_values: Path, packaged: Path = CHART) -> None:
    """Install or upgrade to this checkout's chart, and wait until all pods are ready.

    Args:
        steps: receives the progress.
        stack: the cluster.
        more_values: values files that override those of the local cluster.
        packaged: another form of the chart than this checkout's folder.
    """
    with steps.step("helm upgrade --install --wait: Airflow and the teams") as step:
        stack.kubectl("apply", "--server-side", "-f", "-", stdin=_release_namespace())
        _delete_pending_revision(stack)
        chart: list[str | Path] = ["upgrade", "--install", RELEASE, packaged, "--namespace", NAMESPACE]
        values = [word for file in (VALUES, *more_values) for word in ("--values", file)]
        stack.helm([*chart, *values, "--wait", "--timeout", "10m"], step.detail, timeout_s=630)


@contextmanager
def changed_release(steps: Steps, stack: Stack, values: Mapping[str, Any]) -> Iterator[None]:
    """Install this checkout's chart with these values beside those of the local cluster, for the block.

    Args:
        steps: receives the progress.
        stack: the cluster.
        values: values of the chart.
    """
    with TemporaryDirectory(prefix="kpo-platform-") as folder:
        file = Path(folder) / "values.json"
        file.write_text(json.dumps(values))
        try:
            install_release(steps, stack, file)
            yield
        finally:
            install_release(steps, stack)


def _delete_pending_revision(stack: Stack) -> None:
    """Delete Helm's record of an interrupted operation, because Helm rejects further ones while it exists.

    Objects of the interrupted operation still belong to the release, so the next operation adopts them.
    """
    pending = "owner=helm,status in (pending-install,pending-upgrade,pending-rollback)"
    stack.kubectl("delete", "secret", "-n", NAMESPACE, "-l", f"{pending},name={RELEASE}")


def run_bootstrap(steps: Steps, stack: Stack, programs: Path) -> None:
    """Run `platformctl bootstrap`: connection, registry secrets, volume claims."""
    with steps.step("platformctl bootstrap: connection, registry secret, volumes"):
        words: list[str | Path] = [programs / "platformctl", "bootstrap", "--yes", "--registry-config", "-"]
        capture_output(words, env=stack.environment, stdin=get_registry_login(stack), timeout_s=300)


def get_registry_login(stack: Stack) -> str:
    """Return the registry login of the teams' pull secrets, or generate one.

    An existing login is used again, so that bootstrap changes nothing.

    The local cluster has no registry, so the password is generated once.
    """
    pull_secrets = stack.get("secrets", "-A", "--field-selector=metadata.name=regcred")["items"]
    if pull_secrets:
        return base64.b64decode(pull_secrets[0]["data"][".dockerconfigjson"]).decode()
    credentials = {"username": "quickstart", "password": secrets.token_urlsafe(24)}
    return json.dumps({"auths": dict.fromkeys(_registries(stack), credentials)})


def _registries(stack: Stack) -> set[str]:
    """Return the hosts of the teams' registries from the contract."""
    contract = stack.read_contract()
    teams = ({**contract["teamDefaults"], **team} for team in contract["teams"].values())
    return {team["registry"]["host"] for team in teams}


def _release_namespace() -> str:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    return json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}})
