"""platformctl doctor on a real installation: healthy, and with a lost key and its consequences."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster.support.airflow_runs.long_runs import COMPONENTS, read_component_pods, wait_until_stable
from common.polling import NotYet, wait_for
from stack.release import NAMESPACE, RELEASE, Stack

SECRET = f"{RELEASE}-jwt-secret"
EXPECTED_EVIDENCE = {
    "admin": "exists",  # mounted without key selection
    "api-secret-key": "has `api-secret-key`",
    "fernet-key": "has `fernet-key`",
    "jwt-secret": "has `jwt-secret`",
}


def name_object(about: dict[str, str]) -> str:
    """Return an object of the JSON as the text output names it."""
    return f"{about['kind']} {about['namespace']}/{about['name']}"


def run_doctor(stack: Stack, programs: Path) -> tuple[int, list[dict[str, Any]]]:
    """Return exit code and results."""
    words = [programs / "platformctl", "doctor", "-o", "json"]
    process = subprocess.run(words, env=stack.environment, capture_output=True, text=True, timeout=120, check=False)
    return process.returncode, json.loads(process.stdout)


def failed_checks(stack: Stack, programs: Path) -> dict[str, str]:
    """Return the failed checks: code and object → evidence."""
    _, results = run_doctor(stack, programs)
    return {
        f"{finding['code']} {name_object(finding['object'])}": "; ".join(finding["evidence"])
        for result in results
        if (finding := result["finding"])
    }


@pytest.fixture
def leftover_deployment(stack: Stack) -> Iterator[None]:
    """A Deployment with the scheduler's name and labels.

    A failed upgrade to a shared log volume leaves such an object.
    """
    wait_until_stable(stack)
    labels = stack.get("statefulset", f"{RELEASE}-scheduler", "-n", NAMESPACE)["metadata"]["labels"]
    pod_labels = {"app": "leftover"}
    pod = {"metadata": {"labels": pod_labels}, "spec": {"containers": [{"name": "c", "image": "busybox:1.35"}]}}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": f"{RELEASE}-scheduler", "namespace": NAMESPACE, "labels": labels},
        "spec": {"replicas": 0, "selector": {"matchLabels": pod_labels}, "template": pod},
    }
    stack.kubectl("create", "-f", "-", stdin=json.dumps(deployment))
    yield
    stack.kubectl("delete", "deployment", f"{RELEASE}-scheduler", "-n", NAMESPACE)


@pytest.fixture
def lost_key(stack: Stack) -> Iterator[None]:
    """The Secret of the task tokens without its key, while Airflow runs."""
    wait_until_stable(stack)
    data = stack.get("secret", SECRET, "-n", NAMESPACE)["data"]
    renamed = {"data": {"jwt-secret": None, "jwt": data["jwt-secret"]}}
    stack.kubectl("patch", "secret", SECRET, "-n", NAMESPACE, "-p", json.dumps(renamed))
    yield
    stack.kubectl("patch", "secret", SECRET, "-n", NAMESPACE, "-p", json.dumps({"data": {"jwt": None, **data}}))
    wait_until_stable(stack)


def wait_until_complete(stack: Stack, programs: Path) -> tuple[int, list[dict[str, Any]]]:
    """Return exit code and results once no check is incomplete: a Job of the last upgrade may still run."""

    def probe() -> tuple[int, list[dict[str, Any]]]:
        code, results = run_doctor(stack, programs)
        if incomplete := [f"{result['object']}: {result['seen']}" for result in results if not result["verified"]]:
            raise NotYet(f"exit code {code}; {incomplete}")
        return code, results

    return wait_for("the doctor to complete its checks", probe, deadline_s=300, interval_s=5)


def test_healthy_installation_has_no_failed_checks(stack: Stack, programs: Path):
    wait_until_stable(stack)
    code, results = wait_until_complete(stack, programs)
    evidence = {name_object(result["object"]): result["seen"] for result in results}
    assert (code, [result["finding"] for result in results if result["finding"]]) == (0, [])
    assert {
        f"Secret {NAMESPACE}/{RELEASE}-{name}": text for name, text in EXPECTED_EVIDENCE.items()
    }.items() <= evidence.items()
    kinds = {"deployment": "Deployment", "statefulset": "StatefulSet"}
    ready = {f"{kinds[kind]} {NAMESPACE}/{RELEASE}-{name}": "1 of 1 ready" for name, kind in COMPONENTS.items()}
    assert ready.items() <= evidence.items()


@pytest.mark.usefixtures("leftover_deployment")
def test_leftover_of_a_failed_upgrade_is_found(stack: Stack, programs: Path):
    assert failed_checks(stack, programs) == {
        f"KPO-REL004 Deployment {NAMESPACE}/{RELEASE}-scheduler": f"runs alongside StatefulSet "
        f"{NAMESPACE}/{RELEASE}-scheduler; a failed upgrade left one of them"
    }


def test_lost_key_and_its_blocked_pod_are_found(stack: Stack, programs: Path, lost_key: None):
    before = failed_checks(stack, programs)
    assert list(before) == [f"KPO-REL001 Secret {NAMESPACE}/{SECRET}"]
    assert before.popitem()[1].startswith("has no key `jwt-secret`, and ")
    stack.kubectl("delete", "pod", read_component_pods(stack)["scheduler"][0], "-n", NAMESPACE, "--wait=false")
    name = f"KPO-REL003 StatefulSet {NAMESPACE}/{RELEASE}-scheduler"

    def probe() -> None:
        evidence = failed_checks(stack, programs).get(name, "healthy")
        if f'Secret "{SECRET}" in {NAMESPACE} has no key "jwt-secret"' not in evidence:
            raise NotYet(evidence)

    wait_for("the doctor to report why the pod does not start", probe, deadline_s=180, interval_s=3)
