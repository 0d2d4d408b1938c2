"""Airflow under a path of its public URL, for users, probes, tasks and platformctl.

No ingress controller is installed; the tests send requests to the API server as a proxy would forward them.
"""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from cluster.support.airflow_runs.dag_run import Run, push_dag
from common.command import capture_output
from common.steps import Steps
from stack.airflow_api import AirflowApi
from stack.install import get_registry_login, install_release
from stack.release import NAMESPACE, RELEASE, Stack
from stack.sample_run import connect_airflow

PATH = "/tools/airflow"
URL = f"https://data.kpo-platform.test{PATH}"
VALUES = {"publicUrl": URL, "ingress": {"apiServer": {"enabled": True, "ingressClassName": "none-here"}}}


@pytest.fixture(scope="module")
def public_airflow(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowApi]:
    """Airflow with a public URL, accessed through its Service; afterwards it is at the root again."""
    values = tmp_path_factory.mktemp("values") / "public.yaml"
    values.write_text(yaml.safe_dump(VALUES))
    try:
        install_release(Steps(), stack, values)
        yield connect_airflow(stack)
    finally:
        install_release(Steps(), stack)


def send_get(stack: Stack, path: str, **headers: str) -> http.client.HTTPResponse:
    """Return the API server's response to a GET, without following redirects."""
    connection = http.client.HTTPConnection(stack.service_address(f"{RELEASE}-api-server"), timeout=30)
    connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    response = connection.getresponse()
    response.read()
    connection.close()
    return response


def test_probes_use_the_path(stack: Stack, public_airflow: AirflowApi):
    assert [send_get(stack, f"{PATH}{probe}").status for probe in ("/execution/health", "/api/v2/version")] == [
        200,
        200,
    ]
    assert send_get(stack, "/execution/health").status == 404


def test_task_runs_and_its_log_is_read_under_the_path(stack: Stack, public_airflow: AirflowApi):
    push_dag(stack, public_airflow, "alpha", "functions.py", "functions")
    run = Run(stack, public_airflow, "functions", public_airflow.trigger_run("functions"))
    assert run.wait_for_end() == "success", run.task_states()
    assert "Building pod" in run.read_log("numbers")


def test_login_redirects_to_the_public_url(stack: Stack, public_airflow: AirflowApi):
    response = send_get(stack, f"{PATH}/api/v2/auth/login")
    assert (response.status, response.headers["Location"]) == (307, f"{URL}/auth/login/")


@pytest.mark.parametrize(("scheme", "is_secure"), [("https", True), ("http", False)])
def test_cookie_is_secure_for_https_only(stack: Stack, public_airflow: AirflowApi, scheme: str, is_secure: bool):
    response = send_get(stack, f"{PATH}/auth/logout", X_Forwarded_Proto=scheme)
    cookies = [line for line in response.headers.get_all("Set-Cookie") or [] if line.startswith("_token=")]
    assert [("secure" in line.lower(), f"path={PATH}" in line.lower()) for line in cookies] == [(is_secure, True)]


def test_platformctl_finds_airflow_under_the_path(stack: Stack, public_airflow: AirflowApi, programs: Path):
    words = [programs / "platformctl", "bootstrap", "--dry-run", "--registry-config", "-"]
    output = capture_output(words, env=stack.environment, stdin=get_registry_login(stack), timeout_s=120)
    assert [line for line in output.splitlines() if line.startswith("=") and "k8s_default" in line], output


def test_ingress_has_the_public_host_and_path(stack: Stack, public_airflow: AirflowApi):
    (rule,) = stack.get("ingress", f"{RELEASE}-api-server", "-n", NAMESPACE)["spec"]["rules"]
    assert (rule["host"], rule["http"]["paths"][0]["path"]) == ("data.kpo-platform.test", PATH)
