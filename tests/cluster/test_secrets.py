"""Airflow's Secrets: created once, unchanged by upgrades, not exposed; external ones are checked at the start."""

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
# The kubelet updates a mounted Secret within its sync period and the lifetime of its cache.
ARRIVAL_S = 300


@pytest.fixture(scope="module", autouse=True)
def restore_release(stack: Stack) -> Iterator[None]:
    """Restore the release and delete the external Secret after the tests."""
    yield
    install_release(Steps(), stack)
    stack.kubectl("delete", "secret", "ours", "-n", NAMESPACE, "--ignore-not-found")


def upgrade(stack: Stack, folder: Path, values: dict[str, Any]) -> None:
    (folder / "values.yaml").write_text(yaml.safe_dump(values))
    install_release(Steps(), stack, folder / "values.yaml")


def read_versions(stack: Stack) -> dict[str, str]:
    """Return the resource version of every Secret except Helm's."""
    secrets = stack.get("secrets", "-n", NAMESPACE, "--field-selector=type!=helm.sh/release.v1")["items"]
    return {item["metadata"]["name"]: item["metadata"]["resourceVersion"] for item in secrets}


def read_job_log(stack: Stack) -> str:
    """Return the log of the newest secrets Job."""
    pods = stack.get("pods", "-n", NAMESPACE, "-l", SECRETS_JOB)["items"]
    newest = max(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))
    return stack.kubectl("logs", "-n", NAMESPACE, newest["metadata"]["name"])


def wait_for_job_log(stack: Stack, expected: str) -> None:
    def probe() -> None:
        try:
            log = read_job_log(stack)
        except ScriptError as error:
            raise NotYet(str(error)) from None
        if expected not in log.splitlines():
            raise NotYet(log)

    wait_for(f"the secrets Job to log {expected!r}", probe, ARRIVAL_S, interval_s=2)


def test_upgrades_run_the_job_but_change_no_secret_and_no_pod(stack: Stack, tmp_path: Path):
    before, kept_objects, pods = read_versions(stack), read_kept_objects(stack), read_component_pods(stack)
    for size in ("65Mi", "66Mi", "67Mi"):
        upgrade(stack, tmp_path, {"secretsJob": {"resources": {"requests": {"memory": size}}}})
        for name in KEPT_SECRETS:
            wait_for_job_log(stack, f"Secret {NAMESPACE}/{RELEASE}-{name}: exists")
    assert (read_versions(stack), read_kept_objects(stack), read_component_pods(stack)) == (before, kept_objects, pods)


def read_secret_values(stack: Stack) -> dict[str, str]:
    """Return all values of the platform's Secrets except user names, by Secret and key."""
    result = {}
    for name in KEPT_SECRETS:
        data = stack.get("secret", f"{RELEASE}-{name}", "-n", NAMESPACE)["data"]
        result |= {
            f"{name}/{key}": base64.b64decode(value).decode() for key, value in data.items() if key != "username"
        }
    return result


def read_public_texts(stack: Stack) -> dict[str, str]:
    """Return everything readable without access to Secrets: objects, events, logs; and all process arguments."""
    result = {
        "objects": stack.kubectl(
            "get", "pods,jobs,configmaps,statefulsets,deployments,events", "-n", NAMESPACE, "-o=json"
        )
    }
    for pod in stack.get("pods", "-n", NAMESPACE)["items"]:
        name = pod["metadata"]["name"]
        result[f"log of {name}"] = stack.kubectl("logs", "-n", NAMESPACE, name, "--all-containers", "--tail=-1")
        if pod["status"]["phase"] == "Running":
            arguments = ("sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
            result[f"processes of {name}"] = stack.kubectl("exec", "-n", NAMESPACE, name, "--", *arguments)
    return result


def test_secrets_are_in_no_argument_object_event_or_log(stack: Stack):
    secrets, texts = read_secret_values(stack), read_public_texts(stack)
    assert len(secrets) == 6
    assert any("airflow scheduler" in text for text in texts.values())  # positive control of the process arguments
    assert [(place, name) for place, text in texts.items() for name, value in secrets.items() if value in text] == []


def test_external_secret_is_checked_until_it_is_complete(stack: Stack, tmp_path: Path):
    upgrade_without_waiting(stack, tmp_path, {"adminSecretName": "ours"})
    wait_for_job_log(
        stack,
        f"Secret {NAMESPACE}/ours is missing or empty. Create it with the keys `username` and `password`.",
    )
    admin = stack.get("secret", f"{RELEASE}-admin", "-n", NAMESPACE)["data"]
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "ours", "namespace": NAMESPACE}}
    stack.kubectl("apply", "-f", "-", stdin=json.dumps({**secret, "data": {"username": admin["username"]}}))
    wait_for_job_log(stack, f"Secret {NAMESPACE}/ours has no key `password`. Add the key.")
    stack.kubectl("apply", "-f", "-", stdin=json.dumps({**secret, "data": admin}))
    wait_for("the secrets Job to complete", lambda: check_jobs_complete(stack), ARRIVAL_S, interval_s=2)


def upgrade_without_waiting(stack: Stack, folder: Path, values: dict[str, Any]) -> None:
    """Upgrade with values that prevent some pods from becoming ready."""
    (folder / "values.yaml").write_text(yaml.safe_dump(values))
    words = ["upgrade", RELEASE, CHART, "--namespace", NAMESPACE, "--values", VALUES]
    stack.helm([*words, "--values", folder / "values.yaml"], lambda _: None, timeout_s=120)


def check_jobs_complete(stack: Stack) -> None:
    """Raise NotYet unless every secrets Job has completed."""
    jobs = stack.get("jobs", "-n", NAMESPACE, "-l", SECRETS_JOB)["items"]
    if incomplete := [job["status"] for job in jobs if not job["status"].get("succeeded")]:
        raise NotYet(f"{incomplete}; its log: {read_job_log(stack)}")


def test_administrator_of_the_external_secret_can_log_in(stack: Stack, airflow: AirflowApi):
    assert stack.read_contract()["airflow"]["adminSecret"] == "ours"
    assert connect_airflow(stack).get("pools/team-alpha")["name"] == "team-alpha"
