"""Bootstrap with many teams: the second run changes nothing, and concurrent runs are serialized."""

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

NAMESPACE = "manyboot"
KINDS = {"Secret": 12, "PersistentVolumeClaim": 60, "Connection": 1}


@pytest.fixture(scope="module")
def teams(stack: Stack, airflow: AirflowApi) -> Iterator[TemporaryTeams]:
    with publish_teams(stack, airflow, NAMESPACE, teams=12, volumes=5) as resource:
        yield resource


def bootstrap_command(programs: Path, *more: str) -> list[str | Path]:
    return [programs / "platformctl", "bootstrap", "--namespace", NAMESPACE, "--registry-config", "-", *more]


def count_kinds(result: str, action: str) -> dict[str, int]:
    return Counter(item["target"]["kind"] for item in json.loads(result)["actions"] if item["action"] == action)


def test_second_run_over_twelve_teams_changes_nothing(teams: TemporaryTeams, programs: Path):
    env = teams.stack.environment
    first = capture_output(bootstrap_command(programs, "--yes", "-o", "json"), env=env, stdin=LOGIN, timeout_s=180)
    assert count_kinds(first, "create") == KINDS
    before = read_versions(teams)
    second = capture_output(bootstrap_command(programs, "--yes", "-o", "json"), env=env, stdin=LOGIN, timeout_s=180)
    assert count_kinds(second, "unchanged") == KINDS
    assert len(json.loads(second)["actions"]) == sum(KINDS.values())
    assert read_versions(teams) == before
    assert len(before) == 72


def read_versions(teams: TemporaryTeams) -> dict[str, str]:
    items = teams.stack.get("secrets,pvc", "-A", "-l", "app.kubernetes.io/managed-by=platformctl")["items"]
    metas = [item["metadata"] for item in items if item["metadata"]["namespace"] in teams.namespaces]
    return {item["uid"]: item["resourceVersion"] for item in metas}


def read_holder(stack: Stack) -> str:
    leases = stack.get("leases", "-n", NAMESPACE)["items"]
    if not leases:
        raise NotYet("no Lease")
    return str(leases[0]["spec"]["holderIdentity"])


def test_concurrent_run_waits_for_the_other(stack: Stack, airflow: AirflowApi, teams: TemporaryTeams, programs: Path):
    """Stops the first run while it holds the Lease, until the second run waits for it."""
    teams.delete_objects(airflow)
    first = start_bootstrap(programs, stack)
    holder_id = wait_for("the first run to hold the Lease", lambda: read_holder(stack), deadline_s=60, interval_s=0.1)
    first.send_signal(signal.SIGSTOP)
    second = start_bootstrap(programs, stack)
    assert second.stderr
    message = next((line for line in second.stderr if line.startswith("► Waiting")), "")
    first.send_signal(signal.SIGCONT)
    assert message == f"► Waiting for another bootstrap run: {holder_id}\n"
    created = [count_kinds(item.communicate(timeout=240)[0], "create") for item in (first, second)]
    assert ([first.returncode, second.returncode], created) == ([0, 0], [KINDS, {}])
    assert stack.get("leases", "-n", NAMESPACE)["items"] == []


def test_lease_of_a_killed_run_is_taken_over(stack: Stack, airflow: AirflowApi, teams: TemporaryTeams, programs: Path):
    """Kills a run that has objects to create: one without ends before a look at its Lease."""
    teams.delete_objects(airflow)
    killed = start_bootstrap(programs, stack)
    first = wait_for("the run to hold the Lease", lambda: read_holder(stack), deadline_s=60, interval_s=0.2)
    killed.send_signal(signal.SIGKILL)
    killed.wait(10)
    assert read_holder(stack) == first
    start = time.monotonic()
    result = subprocess.run(
        bootstrap_command(programs, "--yes"),
        env=stack.environment,
        input=LOGIN,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (result.returncode, f"► Waiting for another bootstrap run: {first}" in result.stderr) == (0, True)
    assert time.monotonic() - start > 10
    assert stack.get("leases", "-n", NAMESPACE)["items"] == []


def start_bootstrap(programs: Path, stack: Stack) -> subprocess.Popen[str]:
    """Start a run and write the registry login to its stdin."""
    pipe = subprocess.PIPE
    line = bootstrap_command(programs, "--yes", "-o", "json")
    process = subprocess.Popen(line, env=stack.environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
    assert process.stdin
    process.stdin.write(LOGIN)
    process.stdin.close()
    process.stdin = None  # otherwise communicate() would flush the closed stdin
    return process
