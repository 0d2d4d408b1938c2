"""Runs of alpha's and beta's tasks that use each other's things, and what they got."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from cluster.support.airflow_runs.dag_run import Run
from cluster.support.isolation.requests import Request, Target, build_requests
from cluster.support.isolation.team_things import (
    count_listener_runs,
    read_state,
    run_dag,
    run_target,
)
from common.polling import NotYet, wait_for
from stack.airflow_api import AirflowApi
from stack.release import Stack

VERSIONS = (
    "2025-04-11",
    "2025-04-28",
    "2025-05-20",
    "2025-08-10",
    "2025-09-23",
    "2025-10-27",
    "2025-11-05",
    "2026-04-06",
    "2026-06-30",
)
"""The versions of the Execution API in Airflow 3.3."""


@dataclass
class Answers:
    """The answers to requests for the things of a team.

    Attributes:
        requests: the requests.
        newest: status and body of each as the newest version of the API.
        versions: version → the same as that version.
    """

    requests: list[Request]
    newest: list[dict[str, Any]]
    versions: dict[str, list[dict[str, Any]]]


@dataclass
class Result:
    """What tasks of alpha and beta got under an executor.

    Attributes:
        executor: the executor.
        targets: team → the run of its DAG that requests ask for.
        answers: (team that asks, owner) → the answers.
        sdk: team → the run of its DAG `isolation_TEAM_sdk`.
        forged: alpha's run that reported an update of beta's asset.
        before: beta's things before alpha's tasks ran.
        after: beta's things after alpha's tasks had run.
        listener_runs: runs that updates of assets started: of alpha by alpha, of alpha by beta.
    """

    executor: str
    targets: dict[str, Target] = field(default_factory=dict)
    answers: dict[tuple[str, str], Answers] = field(default_factory=dict)
    sdk: dict[str, Run] = field(default_factory=dict)
    forged: Run | None = None
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    listener_runs: list[int] = field(default_factory=list)


def run_all(stack: Stack, airflow: AirflowApi, result: Result) -> Result:
    """Run alpha's tasks against beta's things, then those of both teams that are allowed."""
    date = datetime.now(UTC).isoformat()
    for team in ("alpha", "beta"):
        airflow.patch(f"dags/isolation_{team}_listener", {"is_paused": False})
        result.targets[team] = run_target(stack, airflow, team, date)
    runs = [count_listener_runs(airflow, "alpha")]
    result.before = read_state(airflow, result.targets["beta"])
    send(stack, airflow, result, "alpha", "beta", VERSIONS)
    result.sdk["alpha"] = run_sdk(stack, airflow, result, "alpha", "beta", date)
    result.forged = run_dag(stack, airflow, "isolation_alpha_forged_outlet")
    wait_for_listener(airflow, runs[0] + 1)
    result.after = read_state(airflow, result.targets["beta"])
    runs.append(count_listener_runs(airflow, "alpha"))
    result.sdk["beta"] = run_sdk(stack, airflow, result, "beta", "alpha", date)
    wait_for_listener(airflow, runs[1] + 1)
    runs.append(count_listener_runs(airflow, "alpha"))
    send(stack, airflow, result, "beta", "alpha")
    airflow.wait_for_run(result.targets["alpha"].dag, result.targets["alpha"].run)  # the requests have cleared it
    send(stack, airflow, result, "alpha", "alpha")
    result.listener_runs = [runs[1] - runs[0], runs[2] - runs[1]]
    return result


def send(
    stack: Stack, airflow: AirflowApi, result: Result, team: str, owner: str, versions: tuple[str, ...] = ()
) -> None:
    """Send all requests for the owner's things from a task of a team, as the newest version and as these."""
    requests = build_requests(result.targets[owner])
    conf = {"requests": [entry.to_json() for entry in requests], "versions": list(versions)}
    run = run_dag(stack, airflow, f"isolation_{team}_requests", conf)
    assert run.task_instance()["state"] == "success", run.read_log("send_all")
    answers = airflow.read_xcom(run.dag, run.id, "send_all")
    result.answers[team, owner] = Answers(requests, answers.pop("newest"), answers)


def run_sdk(stack: Stack, airflow: AirflowApi, result: Result, team: str, other: str, date: str) -> Run:
    """Run the tasks of a team that use things of the other by Airflow's SDK."""
    conf = {"run": result.targets[other].run, "logical_date": date}
    return run_dag(stack, airflow, f"isolation_{team}_sdk", conf)


def wait_for_listener(airflow: AirflowApi, runs: int) -> None:
    """Wait until updates of alpha's asset have started this many runs."""

    def probe() -> None:
        if (count := count_listener_runs(airflow, "alpha")) < runs:
            raise NotYet(f"{count} runs")

    wait_for(f"{runs} runs of isolation_alpha_listener", probe, deadline_s=180, interval_s=2)
