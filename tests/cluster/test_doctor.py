"""platformctl doctor on a real installation: well, with a key that was lost, and with what comes of that."""

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

LOST = f"{RELEASE}-jwt-secret"
NEEDED = {
    "admin": "exists",  # mounted as a whole
    "api-secret-key": "has `api-secret-key`",
    "fernet-key": "has `fernet-key`",
    "jwt-secret": "has `jwt-secret`",
}


def doctor(stack: Stack, programs: Path) -> tuple[int, list[dict[str, Any]]]:
    """Exit code and results."""
    words = [programs / "platformctl", "doctor", "-o", "json"]
    done = subprocess.run(words, env=stack.environment, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, json.loads(done.stdout)


def found(stack: Stack, programs: Path) -> dict[str, str]:
    """The failed checks: code and object → evidence."""
    _, judged = doctor(stack, programs)
    return {f"{each['code']} {each['object']}": each["evidence"] for one in judged if (each := one["finding"])}


@pytest.fixture
def left_behind(stack: Stack) -> Iterator[None]:
    """A Deployment of the scheduler's name and labels, as a failed upgrade to a shared volume of logs leaves it."""
    wait_until_stable(stack)
    labels = stack.get("statefulset", f"{RELEASE}-scheduler", "-n", NAMESPACE)["metadata"]["labels"]
    own = {"app": "left-behind"}
    pod = {"metadata": {"labels": own}, "spec": {"containers": [{"name": "c", "image": "busybox:1.35"}]}}
    made = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": f"{RELEASE}-scheduler", "namespace": NAMESPACE, "labels": labels},
        "spec": {"replicas": 0, "selector": {"matchLabels": own}, "template": pod},
    }
    stack.kubectl("create", "-f", "-", stdin=json.dumps(made))
    yield
    stack.kubectl("delete", "deployment", f"{RELEASE}-scheduler", "-n", NAMESPACE)


@pytest.fixture
def lost_key(stack: Stack) -> Iterator[None]:
    """The secret for the tasks' tokens has lost its key, while Airflow runs."""
    wait_until_stable(stack)
    kept = stack.get("secret", LOST, "-n", NAMESPACE)["data"]
    renamed = {"data": {"jwt-secret": None, "jwt": kept["jwt-secret"]}}
    stack.kubectl("patch", "secret", LOST, "-n", NAMESPACE, "-p", json.dumps(renamed))
    yield
    stack.kubectl("patch", "secret", LOST, "-n", NAMESPACE, "-p", json.dumps({"data": {"jwt": None, **kept}}))
    wait_until_stable(stack)


def test_an_installation_that_is_well_has_nothing_to_mend(stack: Stack, programs: Path):
    wait_until_stable(stack)
    code, judged = doctor(stack, programs)
    seen = {each["object"]: each["seen"] for each in judged}
    assert (code, found(stack, programs)) == (0, {})
    assert {f"Secret {NAMESPACE}/{RELEASE}-{name}": has for name, has in NEEDED.items()}.items() <= seen.items()
    kinds = {"deployment": "Deployment", "statefulset": "StatefulSet"}
    ready = {f"{kinds[kind]} {NAMESPACE}/{RELEASE}-{name}": "1 of 1 ready" for name, kind in COMPONENTS.items()}
    assert ready.items() <= seen.items()


@pytest.mark.usefixtures("left_behind")
def test_what_a_failed_upgrade_left_beside_a_component_is_found(stack: Stack, programs: Path):
    assert found(stack, programs) == {
        f"KPO-REL004 Deployment {NAMESPACE}/{RELEASE}-scheduler": f"runs alongside StatefulSet "
        f"{NAMESPACE}/{RELEASE}-scheduler; a failed upgrade left one of them"
    }


def test_a_lost_key_is_found_while_all_pods_run_and_so_is_the_pod_that_cannot_start(
    stack: Stack, programs: Path, lost_key: None
):
    before = found(stack, programs)
    assert list(before) == [f"KPO-REL001 Secret {NAMESPACE}/{LOST}"]
    assert before.popitem()[1].startswith("has no key `jwt-secret`, and ")
    stack.kubectl("delete", "pod", read_component_pods(stack)["scheduler"][0], "-n", NAMESPACE, "--wait=false")
    name = f"KPO-REL003 StatefulSet {NAMESPACE}/{RELEASE}-scheduler"

    def probe() -> None:
        evidence = found(stack, programs).get(name, "well")
        if "couldn't find key jwt-secret" not in evidence:
            raise NotYet(evidence)

    wait_for("the doctor to tell why the pod does not start", probe, deadline_s=180, interval_s=3)
