"""The clean-up job in a real pod: it removes what ended long ago, of every team that asks for it, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from cluster.support.pods.sleeper import POD
from common.polling import NotYet, wait_for
from common.steps import Steps
from stack.install import install_release
from stack.release import NAMESPACE, RELEASE, Stack

AGE_S = 30
VALUES = {
    "cleanupJob": {"schedule": "0 0 1 1 *"},  # not by itself while this tries it
    "teams": {name: {"cleanup": {"maxAge": AGE_S}} for name in ("alpha", "beta")},
}
MADE_BY = "made-by=cleanup"


@pytest.fixture(scope="module", autouse=True)
def two_teams_that_want_it(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    values = tmp_path_factory.mktemp("values") / "cleanup.yaml"
    values.write_text(yaml.safe_dump(VALUES))
    try:
        install_release(Steps(), stack, values)
        yield
    finally:
        install_release(Steps(), stack)
        for team in ("alpha", "beta"):
            stack.kubectl("delete", "pods", "-n", f"team-{team}", "-l", MADE_BY, "--grace-period=1", "--wait=false")
        stack.kubectl("delete", "jobs", "-n", NAMESPACE, "-l", MADE_BY)


def start(stack: Stack, team: str, name: str, command: list[str], **labels: str) -> None:
    """Start a pod in a team's namespace."""
    pod = json.loads(json.dumps(POD))
    pod["metadata"] = {"name": name, "labels": {"made-by": "cleanup", **labels}}
    pod["spec"] |= {"restartPolicy": "Never"}
    pod["spec"]["containers"][0]["command"] = command
    stack.kubectl("apply", "-n", f"team-{team}", "-f", "-", stdin=json.dumps(pod))


def pods(stack: Stack, team: str) -> dict[str, dict[str, Any]]:
    found = stack.get("pods", "-n", f"team-{team}", "-l", MADE_BY)["items"]
    return {pod["metadata"]["name"]: pod for pod in found}


def wait_for_age(stack: Stack, team: str, name: str) -> None:
    """Wait until a pod has been finished for longer than the teams' age."""

    def probe() -> None:
        (status,) = pods(stack, team)[name]["status"].get("containerStatuses", [{}])
        ended = status.get("state", {}).get("terminated", {}).get("finishedAt")
        age = (datetime.now(UTC) - datetime.fromisoformat(ended)).total_seconds() if ended else 0
        if age < AGE_S + 2:
            raise NotYet(f"{name} has been finished for {age:.0f} s")

    wait_for(f"{name} to be old enough", probe, deadline_s=AGE_S + 60)


def clean_up(stack: Stack, name: str) -> tuple[bool, str]:
    """Run the job once, as `kubectl create job --from` does; give whether it ended well, and its log."""
    stack.kubectl("create", "job", name, f"--from=cronjob/{RELEASE}-cleanup", "-n", NAMESPACE)
    stack.kubectl("label", "job", name, MADE_BY, "-n", NAMESPACE)

    def probe() -> bool:
        status = stack.get("job", name, "-n", NAMESPACE)["status"]
        if not status.get("succeeded") and not status.get("failed"):
            raise NotYet(f"its status is {status}")
        return bool(status.get("succeeded"))

    well = wait_for(f"the job {name} to end", probe, deadline_s=120)
    return well, stack.kubectl("logs", f"job/{name}", "-n", NAMESPACE)


def lines(log: str) -> list[str]:
    """The log without the moments in it, sorted: a node does not keep the order of stdout and stderr."""
    return sorted(line.split(" that ended before ")[0] for line in log.splitlines())


def test_finished_pods_past_the_age_go_and_all_others_stay(stack: Stack):
    start(stack, "alpha", "old", ["true"], **{"kpo-platform/team": "alpha"})
    start(stack, "alpha", "old-failed", ["false"], **{"kpo-platform/team": "alpha"})
    start(stack, "alpha", "old-foreign", ["true"])
    start(stack, "alpha", "running", ["sleep", "600"], **{"kpo-platform/team": "alpha"})
    start(stack, "beta", "old", ["true"], **{"kpo-platform/team": "beta"})
    for team, name in (("alpha", "old"), ("alpha", "old-failed"), ("alpha", "old-foreign"), ("beta", "old")):
        wait_for_age(stack, team, name)
    start(stack, "alpha", "young", ["true"], **{"kpo-platform/team": "alpha"})
    well, log = clean_up(stack, "cleanup-all")
    assert (well, lines(log)) == (True, ["team alpha: 2 pods", "team beta: 1 pods"])
    assert pods(stack, "alpha").keys() == {"old-foreign", "running", "young"}
    assert pods(stack, "beta").keys() == set()


def test_a_team_that_cannot_be_cleaned_does_not_keep_the_next_one_waiting(stack: Stack):
    stack.kubectl("delete", "rolebinding", "pod-cleaner", "-n", "team-alpha")
    start(stack, "beta", "old-again", ["true"], **{"kpo-platform/team": "beta"})
    wait_for_age(stack, "beta", "old-again")
    well, log = clean_up(stack, "cleanup-beta")
    assert not well
    refusal = "team alpha: pods could not be removed: HTTP Error 403: Forbidden; the next run tries again"
    assert lines(log) == [refusal, "team beta: 1 pods"]
    assert pods(stack, "beta").keys() == set()
