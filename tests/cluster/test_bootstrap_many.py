"""Many teams: the second run changes nothing; and of two runs at once one waits."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.command import capture_output
from common.polling import NotYet, wait_for
from stack.airflow_api import AirflowApi
from stack.release import Stack
from stack.temporary_teams import LOGIN, TemporaryTeams, publish_teams

HOME = "manyboot"
KINDS = {"Secret": 12, "PersistentVolumeClaim": 60, "Connection": 1}


@pytest.fixture(scope="module")
def teams(stack: Stack, airflow: AirflowApi) -> Iterator[TemporaryTeams]:
    with publish_teams(stack, airflow, HOME, teams=12, volumes=5) as it:
        yield it


def words(programs: Path, *more: str) -> list[str | Path]:
    return [programs / "platformctl", "bootstrap", "--namespace", HOME, "--registry-config", "-", *more]


def kinds(result: str, action: str) -> dict[str, int]:
    return Counter(each["target"]["kind"] for each in json.loads(result)["actions"] if each["action"] == action)


def test_a_second_run_over_twelve_teams_changes_nothing(teams: TemporaryTeams, programs: Path):
    env = teams.stack.environment
    first = capture_output(words(programs, "--yes", "-o", "json"), env=env, stdin=LOGIN, timeout_s=180)
    assert kinds(first, "create") == KINDS
    before = versions(teams)
    second = capture_output(words(programs, "--yes", "-o", "json"), env=env, stdin=LOGIN, timeout_s=180)
    assert kinds(second, "unchanged") == KINDS
    assert len(json.loads(second)["actions"]) == sum(KINDS.values())
    assert versions(teams) == before
    assert len(before) == 72


def versions(teams: TemporaryTeams) -> dict[str, str]:
    items = teams.stack.get("secrets,pvc", "-A", "-l", "app.kubernetes.io/managed-by=platformctl")["items"]
    metas = [each["metadata"] for each in items if each["metadata"]["namespace"] in teams.namespaces]
    return {each["uid"]: each["resourceVersion"] for each in metas}


def holder(stack: Stack) -> str:
    leases = stack.get("leases", "-n", HOME)["items"]
    if not leases:
        raise NotYet("no Lease")
    return str(leases[0]["spec"]["holderIdentity"])


def test_of_two_runs_at_once_one_waits_for_the_other(
    stack: Stack, airflow: AirflowApi, teams: TemporaryTeams, programs: Path
):
    """The first stands still, with its turn, until the second has come to wait for it."""
    teams.delete_objects(airflow)
    first = begun(programs, stack)
    turn = wait_for("the first run to have its turn", lambda: holder(stack), deadline_s=60, interval_s=0.1)
    first.send_signal(signal.SIGSTOP)
    second = begun(programs, stack)
    assert second.stderr
    said = next((line for line in second.stderr if line.startswith("► Waiting")), "")
    first.send_signal(signal.SIGCONT)
    assert said == f"► Waiting for another run of bootstrap, {turn}\n"
    created = [kinds(each.communicate(timeout=240)[0], "create") for each in (first, second)]
    assert ([first.returncode, second.returncode], created) == ([0, 0], [KINDS, {}])
    assert stack.get("leases", "-n", HOME)["items"] == []


def test_the_turn_of_a_run_that_was_killed_is_taken_over(stack: Stack, teams: TemporaryTeams, programs: Path):
    killed = begun(programs, stack)
    first = wait_for("the run to have its turn", lambda: holder(stack), deadline_s=60, interval_s=0.2)
    killed.send_signal(signal.SIGKILL)
    killed.wait(10)
    assert holder(stack) == first
    began = time.monotonic()
    result = subprocess.run(
        words(programs, "--yes"), env=stack.environment, input=LOGIN, capture_output=True, text=True, timeout=120
    )
    assert (result.returncode, f"► Waiting for another run of bootstrap, {first}" in result.stderr) == (0, True)
    assert time.monotonic() - began > 10
    assert stack.get("leases", "-n", HOME)["items"] == []


def begun(programs: Path, stack: Stack) -> subprocess.Popen[str]:
    """Start a run, and give it its sign-in."""
    pipe = subprocess.PIPE
    line = words(programs, "--yes", "-o", "json")
    process = subprocess.Popen(line, env=stack.environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
    assert process.stdin
    process.stdin.write(LOGIN)
    process.stdin.close()
    process.stdin = None  # for communicate() would flush it once more
    return process
