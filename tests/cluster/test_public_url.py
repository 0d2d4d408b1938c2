"""Airflow under a path of its public address: people, probes, tasks and platformctl find it there, and nowhere else.

No controller answers for the Ingress here; the requests go to the API server as a proxy would send them on.
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
from stack.install import install_release, registry_login
from stack.release import NAMESPACE, RELEASE, Stack
from stack.sample_run import connect_airflow

PATH = "/tools/airflow"
URL = f"https://data.kpo-platform.test{PATH}"
VALUES = {"publicUrl": URL, "ingress": {"apiServer": {"enabled": True, "ingressClassName": "none-here"}}}


@pytest.fixture(scope="module")
def there(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowApi]:
    """Airflow at its public address, signed in to through its Service; afterwards it is back at the root."""
    values = tmp_path_factory.mktemp("values") / "public.yaml"
    values.write_text(yaml.safe_dump(VALUES))
    try:
        install_release(Steps(), stack, values)
        yield connect_airflow(stack)
    finally:
        install_release(Steps(), stack)


def answer(stack: Stack, path: str, **headers: str) -> http.client.HTTPResponse:
    """What the API server answers to a GET; redirects are not followed."""
    connection = http.client.HTTPConnection(stack.service_address(f"{RELEASE}-api-server"), timeout=30)
    connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    reply = connection.getresponse()
    reply.read()
    connection.close()
    return reply


def test_the_pods_became_ready_by_probes_below_the_path(stack: Stack, there: AirflowApi):
    assert [answer(stack, f"{PATH}{probe}").status for probe in ("/execution/health", "/api/v2/version")] == [200, 200]
    assert answer(stack, "/execution/health").status == 404


def test_a_task_runs_and_its_log_is_read_below_the_path(stack: Stack, there: AirflowApi):
    push_dag(stack, there, "alpha", "functions.py", "functions")
    run = Run(stack, there, "functions", there.trigger_run("functions"))
    assert run.wait_for_end() == "success", run.task_states()
    assert "Building pod" in run.read_log("numbers")


def test_the_way_out_of_a_sign_in_leads_to_the_public_address(stack: Stack, there: AirflowApi):
    reply = answer(stack, f"{PATH}/api/v2/auth/login")
    assert (reply.status, reply.headers["Location"]) == (307, f"{URL}/auth/login/")


@pytest.mark.parametrize(("scheme", "kept"), [("https", True), ("http", False)])
def test_a_cookie_is_kept_from_plain_http_where_people_came_by_https(
    stack: Stack, there: AirflowApi, scheme: str, kept: bool
):
    reply = answer(stack, f"{PATH}/auth/logout", X_Forwarded_Proto=scheme)
    cookies = [line for line in reply.headers.get_all("Set-Cookie") or [] if line.startswith("_token=")]
    assert [("secure" in line.lower(), f"path={PATH}" in line.lower()) for line in cookies] == [(kept, True)]


def test_platformctl_finds_airflow_below_the_path(stack: Stack, there: AirflowApi, programs: Path):
    words = [programs / "platformctl", "bootstrap", "--dry-run", "--registry-config", "-"]
    planned = capture_output(words, env=stack.environment, stdin=registry_login(stack), timeout_s=120)
    assert [line for line in planned.splitlines() if line.startswith("=") and "k8s_default" in line], planned


def test_the_ingress_is_what_the_cluster_keeps(stack: Stack, there: AirflowApi):
    (rule,) = stack.get("ingress", f"{RELEASE}-api-server", "-n", NAMESPACE)["spec"]["rules"]
    assert (rule["host"], rule["http"]["paths"][0]["path"]) == ("data.kpo-platform.test", PATH)
