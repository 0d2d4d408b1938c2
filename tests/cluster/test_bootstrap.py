"""platformctl bootstrap on the cluster: what it made is there, and a second run changes nothing."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from common.run import capture
from road.airflow_api import AirflowApi
from road.stack import Stack

TEAMS = ["alpha", "beta"]


def test_a_second_run_changes_nothing(stack: Stack, programs: Path):
    words = [programs / "platformctl", "bootstrap", "--dry-run", "--detailed-exitcode", "-o", "json"]
    plan = json.loads(capture(words, env=stack.variables, timeout_s=120))
    assert {action["action"] for action in plan["actions"]} == {"unchanged"}
    assert len(plan["actions"]) == 5  # a secret and a claim per team, and one connection


@pytest.mark.parametrize("team", TEAMS)
def test_each_team_has_the_secret_of_its_registry(stack: Stack, team: str):
    secret = stack.get("secret", "regcred", "-n", f"team-{team}")
    config = json.loads(base64.b64decode(secret["data"][".dockerconfigjson"]))
    assert (secret["type"], list(config["auths"])) == (
        "kubernetes.io/dockerconfigjson",
        ["registry.kpo-platform.test"],
    )


@pytest.mark.parametrize("team", TEAMS)
def test_each_team_has_its_claim(stack: Stack, team: str):
    claim = stack.get("pvc", "data", "-n", f"team-{team}")
    assert claim["spec"]["resources"]["requests"]["storage"] == "100Mi"
    assert claim["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "platformctl"


def test_airflow_has_the_connection_with_a_sidecar_that_a_restricted_namespace_takes(airflow: AirflowApi):
    connection = airflow.get("connections/k8s_default")
    extra = json.loads(connection["extra"])
    assert connection["conn_type"] == "kubernetes"
    assert extra["in_cluster"] is True
    assert extra["xcom_sidecar_container_image"] == "localhost/kpo-platform/xcom-sidecar:12"
    context = json.loads(extra["xcom_sidecar_container_security_context"])
    assert context["allowPrivilegeEscalation"] is False
