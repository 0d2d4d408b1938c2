"""Bootstrap with a connection that is cut at one of its writes.

The next run completes the interrupted one, and a third run changes nothing.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cluster.support.cutting_proxy import CuttingProxy, run_cutting_proxy
from stack.airflow_api import AirflowApi
from stack.release import Stack
from stack.temporary_teams import LOGIN, TemporaryTeams, publish_teams

Run = Callable[..., subprocess.CompletedProcess[str]]
NAMESPACE = "cuts"
TEAM_PATH = f"/api/v1/namespaces/{NAMESPACE}-0"
LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"
CHECK_SECRET, CHECK_POD = f"{TEAM_PATH}/secrets/registry-check", f"{TEAM_PATH}/pods/registry-check"
AIRFLOW_WRITE = "POST /api/v2/connections"
WRITES = [
    f"POST {LEASES}",
    # A node checks the registry, after the remains of an earlier check are deleted.
    *[f"DELETE {CHECK_SECRET}", f"DELETE {CHECK_POD}"],
    *[f"PATCH {CHECK_POD}", f"PATCH {CHECK_SECRET}", f"PATCH {CHECK_POD}"],
    *[f"DELETE {CHECK_SECRET}", f"DELETE {CHECK_POD}"],
    f"PATCH {TEAM_PATH}/secrets/regcred",
    f"PATCH {TEAM_PATH}/persistentvolumeclaims/data-0",
    AIRFLOW_WRITE,
    f"DELETE {LEASES}/platformctl-bootstrap",
]


@pytest.fixture(scope="module")
def team(stack: Stack, airflow: AirflowApi) -> Iterator[TemporaryTeams]:
    with publish_teams(stack, airflow, NAMESPACE, teams=1, volumes=1) as resource:
        stack.kubectl("create", "serviceaccount", "team-pod", "-n", f"{NAMESPACE}-0")
        yield resource


@pytest.fixture(scope="module")
def proxy(stack: Stack, team: TemporaryTeams, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CuttingProxy]:
    with run_cutting_proxy(
        stack, stack.service_address("airflow-api-server"), tmp_path_factory.mktemp("proxy")
    ) as resource:
        yield resource


@pytest.fixture(scope="module")
def bootstrap(proxy: CuttingProxy, programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    options = [
        "--kubeconfig",
        proxy.write_kubeconfig(tmp_path_factory.mktemp("kubeconfig")),
        "--airflow-url",
        proxy.url,
    ]
    words = [programs / "platformctl", "bootstrap", "--namespace", NAMESPACE, "--registry-config", "-", *options]

    def run(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*words, *more], input=LOGIN, capture_output=True, text=True, timeout=120)

    return run


def test_complete_run_has_these_writes(bootstrap: Run, proxy: CuttingProxy, team: TemporaryTeams, airflow: AirflowApi):
    team.delete_objects(airflow)
    proxy.reset()
    process = bootstrap("--yes")
    assert (process.returncode, proxy.writes) == (0, WRITES), process.stderr


def interrupted_end(number: int, url: str) -> tuple[int, str]:
    """Return exit code and message of a run that is cut at a write."""
    if number == len(WRITES):  # only releases the Lease, which otherwise expires
        return 0, "► Verifying the result"
    if WRITES[number - 1] == AIRFLOW_WRITE:
        return 3, f"Error: Airflow ({url}) did not answer: "
    return 3, "Error: No answer from the API server "


@pytest.mark.parametrize("is_delivered", [False, True], ids=["not delivered", "delivered without response"])
@pytest.mark.parametrize("number", range(1, len(WRITES) + 1))
def test_second_run_completes_an_interrupted_one(
    bootstrap: Run, proxy: CuttingProxy, team: TemporaryTeams, airflow: AirflowApi, number: int, is_delivered: bool
):
    team.delete_objects(airflow)
    proxy.reset(number, is_delivered)
    interrupted = bootstrap("--yes")
    assert (proxy.is_cut, proxy.writes) == (True, WRITES[:number])
    code, message = interrupted_end(number, proxy.url)
    assert (interrupted.returncode, interrupted.stderr.splitlines()[-1][: len(message)]) == (code, message)
    assert "Traceback" not in interrupted.stderr
    proxy.reset()
    completed = bootstrap("--yes", "-o", "json")
    assert completed.returncode == 0, completed.stderr
    assert all(item["healthy"] for item in json.loads(completed.stdout)["evidence"])
    remaining = team.stack.get("secrets,pods", "-n", f"{NAMESPACE}-0")["items"]
    assert [item["metadata"]["name"] for item in remaining] == ["regcred"]
    second_run = bootstrap("--dry-run", "--detailed-exitcode")
    assert (second_run.returncode, second_run.stdout.splitlines()[-1]) == (
        0,
        "Plan: 0 to create, 0 to change, 3 unchanged, 0 blocked.",
    )
