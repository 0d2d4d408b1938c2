"""Airflow's secrets: made once, never changed by an upgrade, shown to nobody; others' are looked at at the start."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.support.airflow_runs.long_runs import KEPT_SECRETS, read_component_pods, read_kept_objects
from common.errors import ScriptError
from common.polling import NotYet, wait_for
from common.steps import Steps
from stack.airflow_api import AirflowApi
from stack.install import install_release
from stack.release import CHART, NAMESPACE, RELEASE, VALUES, Stack
from stack.sample_run import connect_airflow

SECRETS_JOB = "app.kubernetes.io/component=secrets"
# A mounted secret that appears late reaches a running pod within the kubelet's sync period and its cache's lifetime.
ARRIVAL_S = 300


@pytest.fixture(scope="module", autouse=True)
def usual(stack: Stack) -> Iterator[None]:
    """Afterwards the release is what it was, and the secret of the last chapters is gone."""
    yield
    install_release(Steps(), stack)
    stack.kubectl("delete", "secret", "ours", "-n", NAMESPACE, "--ignore-not-found")


def upgrade(stack: Stack, folder: Path, values: dict[str, Any]) -> None:
    (folder / "values.yaml").write_text(yaml.safe_dump(values))
    install_release(Steps(), stack, folder / "values.yaml")


def versions(stack: Stack) -> dict[str, str]:
    """The version of every secret of the namespace that is not Helm's own record."""
    secrets = stack.get("secrets", "-n", NAMESPACE, "--field-selector=type!=helm.sh/release.v1")["items"]
    return {one["metadata"]["name"]: one["metadata"]["resourceVersion"] for one in secrets}


def said(stack: Stack) -> str:
    """What the newest secrets Job says, in its log or as the reason of its pod's end."""
    pods = stack.get("pods", "-n", NAMESPACE, "-l", SECRETS_JOB)["items"]
    newest = max(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))
    return stack.kubectl("logs", "-n", NAMESPACE, newest["metadata"]["name"])


def wait_to_be_told(stack: Stack, expected: str) -> None:
    def probe() -> None:
        try:
            log = said(stack)
        except ScriptError as error:
            raise NotYet(str(error)) from None
        if expected not in log.splitlines():
            raise NotYet(log)

    wait_for(f"the secrets Job to say {expected!r}", probe, ARRIVAL_S, interval_s=2)


def test_three_upgrades_run_the_job_again_and_change_no_secret_and_no_pod(stack: Stack, tmp_path: Path):
    before, kept, pods = versions(stack), read_kept_objects(stack), read_component_pods(stack)
    for size in ("65Mi", "66Mi", "67Mi"):
        upgrade(stack, tmp_path, {"secretsJob": {"resources": {"requests": {"memory": size}}}})
        for name in KEPT_SECRETS:
            wait_to_be_told(stack, f"secret {NAMESPACE}/{RELEASE}-{name}: is already there")
    assert (versions(stack), read_kept_objects(stack), read_component_pods(stack)) == (before, kept, pods)


def values_of_secrets(stack: Stack) -> dict[str, str]:
    """Every value of the platform's own secrets but the user's name, by secret and key."""
    found = {}
    for name in KEPT_SECRETS:
        data = stack.get("secret", f"{RELEASE}-{name}", "-n", NAMESPACE)["data"]
        found |= {f"{name}/{key}": base64.b64decode(value).decode() for key, value in data.items() if key != "username"}
    return found


def told_by(stack: Stack) -> dict[str, str]:
    """What people see without a right to read secrets: objects, events, logs; and all arguments of all processes."""
    found = {
        "objects": stack.kubectl(
            "get", "pods,jobs,configmaps,statefulsets,deployments,events", "-n", NAMESPACE, "-o=json"
        )
    }
    for pod in stack.get("pods", "-n", NAMESPACE)["items"]:
        name = pod["metadata"]["name"]
        found[f"log of {name}"] = stack.kubectl("logs", "-n", NAMESPACE, name, "--all-containers", "--tail=-1")
        if pod["status"]["phase"] == "Running":
            arguments = ("sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
            found[f"processes of {name}"] = stack.kubectl("exec", "-n", NAMESPACE, name, "--", *arguments)
    return found


def test_no_secret_stands_in_an_argument_an_object_an_event_or_a_log(stack: Stack):
    secrets, places = values_of_secrets(stack), told_by(stack)
    assert len(secrets) == 6
    assert any("airflow scheduler" in text for text in places.values())  # the look at processes sees them
    assert [(place, name) for place, text in places.items() for name, value in secrets.items() if value in text] == []


def test_a_secret_that_the_values_name_is_looked_at_until_it_is_right(stack: Stack, tmp_path: Path):
    upgrade_without_waiting(stack, tmp_path, {"adminSecretName": "ours"})
    wait_to_be_told(
        stack,
        f"secret {NAMESPACE}/ours is not there, or is empty; make it with the key `username` and `password`",
    )
    admin = stack.get("secret", f"{RELEASE}-admin", "-n", NAMESPACE)["data"]
    ours = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "ours", "namespace": NAMESPACE}}
    stack.kubectl("apply", "-f", "-", stdin=json.dumps({**ours, "data": {"username": admin["username"]}}))
    wait_to_be_told(stack, f"secret {NAMESPACE}/ours has no key `password`; add it")
    stack.kubectl("apply", "-f", "-", stdin=json.dumps({**ours, "data": admin}))
    wait_for("the secrets Job to be content", lambda: done(stack), ARRIVAL_S, interval_s=2)


def upgrade_without_waiting(stack: Stack, folder: Path, values: dict[str, Any]) -> None:
    """Upgrade with values under which not everything can become ready."""
    (folder / "values.yaml").write_text(yaml.safe_dump(values))
    words = ["upgrade", RELEASE, CHART, "--namespace", NAMESPACE, "--values", VALUES]
    stack.helm([*words, "--values", folder / "values.yaml"], lambda _: None, timeout_s=120)


def done(stack: Stack) -> None:
    """Every secrets Job that there is has completed."""
    jobs = stack.get("jobs", "-n", NAMESPACE, "-l", SECRETS_JOB)["items"]
    if open_ones := [job["status"] for job in jobs if not job["status"].get("succeeded")]:
        raise NotYet(f"{open_ones}; it says: {said(stack)}")


def test_the_administrator_of_that_secret_signs_in(stack: Stack, airflow: AirflowApi):
    assert stack.read_contract()["airflow"]["adminSecret"] == "ours"
    assert connect_airflow(stack).get("pools/team-alpha")["name"] == "team-alpha"
