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

from common.run import capture
from common.waiting import NotYet, wait_for
from road.airflow_api import AirflowApi
from road.borrowed import LOGIN, Borrowed, borrowed
from road.stack import Stack

HOME = "manyboot"
KINDS = {"Secret": 12, "PersistentVolumeClaim": 60, "Connection": 1}


@pytest.fixture(scope="module")
def teams(stack: Stack, airflow: AirflowApi) -> Iterator[Borrowed]:
    with borrowed(stack, airflow, HOME, teams=12, volumes=5) as it:
        yield it


def words(programs: Path, *more: str) -> list[str | Path]:
    return [programs / "platformctl", "bootstrap", "--namespace", HOME, "--registry-config", "-", *more]


def kinds(result: str, action: str) -> dict[str, int]:
    return Counter(each["target"]["kind"] for each in json.loads(result)["actions"] if each["action"] == action)


def test_a_second_run_over_twelve_teams_changes_nothing(teams: Borrowed, programs: Path):
    env = teams.stack.variables
    first = capture(words(programs, "--yes", "-o", "json"), env=env, stdin=LOGIN, timeout_s=180)
    assert kinds(first, "create") == KINDS
    before = versions(teams)
    second = capture(words(programs, "--yes", "-o", "json"), env=env, stdin=LOGIN, timeout_s=180)
    assert kinds(second, "unchanged") == KINDS
    assert len(json.loads(second)["actions"]) == sum(KINDS.values())
    assert versions(teams) == before
    assert len(before) == 72


def versions(teams: Borrowed) -> dict[str, str]:
    items = teams.stack.get("secrets,pvc", "-A", "-l", "app.kubernetes.io/managed-by=platformctl")["items"]
    metas = [each["metadata"] for each in items if each["metadata"]["namespace"] in teams.namespaces]
    return {each["uid"]: each["resourceVersion"] for each in metas}


def holder(stack: Stack) -> str:
    leases = stack.get("leases", "-n", HOME)["items"]
    if not leases:
        raise NotYet("no Lease")
    return str(leases[0]["spec"]["holderIdentity"])


def test_of_two_runs_at_once_one_waits_for_the_other(
    stack: Stack, airflow: AirflowApi, teams: Borrowed, programs: Path
):
    teams.empty(airflow)
    runs = [start(programs, stack), start(programs, stack)]
    said = [each.communicate(LOGIN, timeout=240) for each in runs]
    assert [each.returncode for each in runs] == [0, 0], said
    waited = [err for _, err in said if "► Waiting for another run of bootstrap, " in err]
    created = [kinds(out, "create") for out, _ in said]
    assert (len(waited), sorted(map(len, created))) == (1, [0, 3])
    assert stack.get("leases", "-n", HOME)["items"] == []


def test_the_turn_of_a_run_that_was_killed_is_taken_over(stack: Stack, teams: Borrowed, programs: Path):
    killed = start(programs, stack)
    assert killed.stdin
    killed.stdin.write(LOGIN)
    killed.stdin.close()
    first = wait_for("the run to have its turn", lambda: holder(stack), deadline_s=60, interval_s=0.2)
    killed.send_signal(signal.SIGKILL)
    killed.wait(10)
    assert holder(stack) == first
    began = time.monotonic()
    result = subprocess.run(
        words(programs, "--yes"), env=stack.variables, input=LOGIN, capture_output=True, text=True, timeout=120
    )
    assert (result.returncode, f"► Waiting for another run of bootstrap, {first}" in result.stderr) == (0, True)
    assert time.monotonic() - began > 10
    assert stack.get("leases", "-n", HOME)["items"] == []


def start(programs: Path, stack: Stack) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    line = words(programs, "--yes", "-o", "json")
    return subprocess.Popen(line, env=stack.variables, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
