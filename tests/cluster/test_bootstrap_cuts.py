"""The line is cut at every write of a run: the next run completes it, and the one after that changes nothing."""

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
HOME = "cuts"
SPACE = f"/api/v1/namespaces/{HOME}-0"
LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{HOME}/leases"
CHECK_SECRET, CHECK_POD = f"{SPACE}/secrets/registry-check", f"{SPACE}/pods/registry-check"
WRITES = [
    f"POST {LEASES}",
    # A node is asked about the registry, after what an earlier run may have left of that is removed.
    *[f"DELETE {CHECK_SECRET}", f"DELETE {CHECK_POD}"],
    *[f"PATCH {CHECK_POD}", f"PATCH {CHECK_SECRET}", f"PATCH {CHECK_POD}"],
    *[f"DELETE {CHECK_SECRET}", f"DELETE {CHECK_POD}"],
    f"PATCH {SPACE}/secrets/regcred",
    f"PATCH {SPACE}/persistentvolumeclaims/data-0",
    "POST /api/v2/connections",
    f"DELETE {LEASES}/platformctl-bootstrap",
]


@pytest.fixture(scope="module")
def team(stack: Stack, airflow: AirflowApi) -> Iterator[TemporaryTeams]:
    with publish_teams(stack, airflow, HOME, teams=1, volumes=1) as it:
        stack.kubectl("create", "serviceaccount", "team-pod", "-n", f"{HOME}-0")
        yield it


@pytest.fixture(scope="module")
def cut(stack: Stack, team: TemporaryTeams, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CuttingProxy]:
    with run_cutting_proxy(stack, stack.service_address("airflow-api-server"), tmp_path_factory.mktemp("line")) as it:
        yield it


@pytest.fixture(scope="module")
def bootstrap(cut: CuttingProxy, programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    way = ["--kubeconfig", cut.kubeconfig(tmp_path_factory.mktemp("way")), "--airflow-url", cut.url]
    words = [programs / "platformctl", "bootstrap", "--namespace", HOME, "--registry-config", "-", *way]

    def run(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*words, *more], input=LOGIN, capture_output=True, text=True, timeout=120)

    return run


def test_these_are_the_writes_of_a_whole_run(
    bootstrap: Run, cut: CuttingProxy, team: TemporaryTeams, airflow: AirflowApi
):
    team.delete_objects(airflow)
    cut.reset()
    done = bootstrap("--yes")
    assert (done.returncode, cut.writes) == (0, WRITES), done.stderr


@pytest.mark.parametrize("heard", [False, True], ids=["never arrives", "arrives and is not answered"])
@pytest.mark.parametrize("number", range(1, len(WRITES) + 1))
def test_a_second_run_completes_one_whose_line_was_cut(
    bootstrap: Run, cut: CuttingProxy, team: TemporaryTeams, airflow: AirflowApi, number: int, heard: bool
):
    team.delete_objects(airflow)
    cut.reset(number, heard)
    broken = bootstrap("--yes")
    assert (cut.is_cut, cut.writes) == (True, WRITES[:number])
    # The last write only gives the turn back, and a Lease that stays runs out by itself.
    code, ended = (0, "► Reading everything back") if number == len(WRITES) else (3, "Error: No answer from ")
    assert (broken.returncode, broken.stderr.splitlines()[-1][: len(ended)]) == (code, ended)
    assert "Traceback" not in broken.stderr
    cut.reset()
    completed = bootstrap("--yes", "-o", "json")
    assert completed.returncode == 0, completed.stderr
    assert all(each["healthy"] for each in json.loads(completed.stdout)["evidence"])
    left = team.stack.get("secrets,pods", "-n", f"{HOME}-0")["items"]
    assert [each["metadata"]["name"] for each in left] == ["regcred"]
    again = bootstrap("--dry-run", "--detailed-exitcode")
    assert (again.returncode, again.stdout.splitlines()[-1]) == (
        0,
        "Plan: 0 to create, 0 to change, 3 unchanged, 0 blocked.",
    )
