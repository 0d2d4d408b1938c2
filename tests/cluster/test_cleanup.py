"""The cleanup job: it deletes only old pods of teams with a cleanup setting whose program has ended."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from cluster.support.pods.sleeper import POD
from common.polling import NotYet, wait_for
from stack.release import Stack
from stack.team_release import install_team_release

RELEASE = NAMESPACE = "tidy"
AGE_S = 30
VALUES = {
    "cleanupJob": {"schedule": "0 0 1 1 *"},  # no scheduled run during the test
    "teams": {name: {"cleanup": {"maxAge": AGE_S}} for name in ("north", "south")},
}


@pytest.fixture(scope="module", autouse=True)
def release(stack: Stack) -> Iterator[None]:
    with install_team_release(stack, RELEASE, VALUES):
        yield


def start_pod(
    stack: Stack, team: str, name: str, command: list[str], *, has_sidecar: bool = False, **labels: str
) -> None:
    """Start a pod in a team's namespace, if desired with a sidecar that sleeps."""
    pod = json.loads(json.dumps(POD))
    pod["metadata"] = {"name": name, "labels": labels}
    (base,) = pod["spec"]["containers"]
    sidecars = [{**base, "name": "sidecar"}] if has_sidecar else []
    pod["spec"] |= {"restartPolicy": "Never", "containers": [{**base, "command": command}, *sidecars]}
    stack.kubectl("apply", "-n", f"team-{team}", "-f", "-", stdin=json.dumps(pod))


def read_pods(stack: Stack, team: str) -> dict[str, dict[str, Any]]:
    items = stack.get("pods", "-n", f"team-{team}")["items"]
    return {pod["metadata"]["name"]: pod for pod in items}


def wait_for_age(stack: Stack, team: str, name: str) -> None:
    """Wait until the end of a pod's program is older than the teams' limit."""

    def probe() -> None:
        statuses = read_pods(stack, team)[name]["status"].get("containerStatuses", [])
        status = next((status for status in statuses if status["name"] == "base"), {})
        finished_at = status.get("state", {}).get("terminated", {}).get("finishedAt")
        age = (datetime.now(UTC) - datetime.fromisoformat(finished_at)).total_seconds() if finished_at else 0
        if age < AGE_S + 2:
            raise NotYet(f"{name} has been finished for {age:.0f} s")

    wait_for(f"{name} to exceed the age limit", probe, deadline_s=AGE_S + 60)


def wait_for_deletion(stack: Stack, team: str, name: str) -> None:
    """Wait until a deleted pod no longer exists: its sidecar may use its grace period."""

    def probe() -> None:
        if name in read_pods(stack, team):
            raise NotYet(f"{name} still exists")

    wait_for(f"{name} to be gone", probe, deadline_s=60)


def run_cleanup(stack: Stack, name: str) -> tuple[bool, str]:
    """Run the job once with `kubectl create job --from`; return whether it succeeded, and its log."""
    stack.kubectl("create", "job", name, f"--from=cronjob/{RELEASE}-cleanup", "-n", NAMESPACE)

    def probe() -> bool:
        status = stack.get("job", name, "-n", NAMESPACE)["status"]
        if not status.get("succeeded") and not status.get("failed"):
            raise NotYet(f"its status is {status}")
        return bool(status.get("succeeded"))

    succeeded = wait_for(f"the job {name} to end", probe, deadline_s=120)
    return succeeded, stack.kubectl("logs", f"job/{name}", "-n", NAMESPACE)


def log_lines(log: str) -> list[str]:
    """Return the log without times, sorted: stdout and stderr are not in order."""
    return sorted(line.split(" that finished before ")[0] for line in log.splitlines())


def test_old_finished_pods_are_deleted_and_others_are_kept(stack: Stack):
    start_pod(stack, "north", "old", ["true"], **{"kpo-platform/team": "north"})
    start_pod(stack, "north", "old-failed", ["false"], **{"kpo-platform/team": "north"})
    start_pod(stack, "north", "old-foreign", ["true"])
    start_pod(stack, "north", "running", ["sleep", "600"], **{"kpo-platform/team": "north"})
    start_pod(stack, "south", "old", ["true"], **{"kpo-platform/team": "south"})
    start_pod(stack, "south", "old-base", ["true"], has_sidecar=True, **{"kpo-platform/team": "south"})
    for name in ("old", "old-failed", "old-foreign"):
        wait_for_age(stack, "north", name)
    for name in ("old", "old-base"):
        wait_for_age(stack, "south", name)
    assert read_pods(stack, "south")["old-base"]["status"]["phase"] == "Running"
    start_pod(stack, "north", "young", ["true"], **{"kpo-platform/team": "north"})
    succeeded, log = run_cleanup(stack, "cleanup-all")
    assert (succeeded, log_lines(log)) == (True, ["Team north: deleted 2 pods", "Team south: deleted 2 pods"])
    assert read_pods(stack, "north").keys() == {"old-foreign", "running", "young"}
    wait_for_deletion(stack, "south", "old-base")
    assert read_pods(stack, "south").keys() == set()


def test_failed_cleanup_of_a_team_does_not_block_the_next(stack: Stack):
    stack.kubectl("delete", "rolebinding", "pod-cleaner", "-n", "team-north")
    start_pod(stack, "south", "old-again", ["true"], **{"kpo-platform/team": "south"})
    wait_for_age(stack, "south", "old-again")
    succeeded, log = run_cleanup(stack, "cleanup-south")
    assert not succeeded
    refusal = "Team north: pods cannot be deleted: HTTP Error 403: Forbidden. The next run tries again."
    assert log_lines(log) == [refusal, "Team south: deleted 1 pods"]
    assert read_pods(stack, "south").keys() == set()
