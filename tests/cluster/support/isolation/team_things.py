"""Things of teams in Airflow that the tests of isolation use, and their state."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import quote

from cluster.support.airflow_runs.dag_run import DAGS, Run
from cluster.support.isolation.requests import Target
from stack.airflow_api import AirflowApi, NotFoundError
from stack.git_push import push_files
from stack.release import Stack

FILES = ("own_token.py", "isolation.py")
SHARED = "isolation_shared"
"""A connection and a variable that no team owns."""


def swap_teams(text: str, team: str, other: str) -> str:
    """Return the text of a DAG file for a team."""
    return text.replace('TEAM, OTHER = "alpha", "beta"', f'TEAM, OTHER = "{team}", "{other}"')


@contextmanager
def publish_dags(stack: Stack, airflow: AirflowApi) -> Iterator[None]:
    """Keep the DAGs in the repositories of alpha and beta during the block."""
    urls = {team: f"git://{stack.service_address('git-server', 'git')}/{team}.git" for team in ("alpha", "beta")}
    texts = {file: (DAGS / file).read_text(encoding="utf-8") for file in FILES}
    try:
        for team, other in (("alpha", "beta"), ("beta", "alpha")):
            files = {file: swap_teams(text, team, other) for file, text in texts.items()}
            commit = push_files(urls[team], files, "Add tasks that use things of another team")
            airflow.wait_for_version(f"isolation_{team}_sdk", commit)
        yield
    finally:
        for url in urls.values():
            push_files(url, dict.fromkeys(FILES, ""), "Remove tasks that use things of another team")


def create_names(airflow: AirflowApi, team: str) -> None:
    """Create connections and variables of a team and of no team, with new values."""
    for name in (f"{team}_db", SHARED):
        with suppress(NotFoundError):
            airflow.delete(f"connections/{name}")
        airflow.post("connections", {"connection_id": name, "conn_type": "generic", "password": f"secret of {team}"})
    for name in (f"{team}_key", SHARED):
        with suppress(NotFoundError):
            airflow.delete(f"variables/{name}")
        airflow.post("variables", {"key": name, "value": f"secret of {team}"})


def delete_names(airflow: AirflowApi) -> None:
    """Delete what `create_names` and the DAGs have created."""
    for path in (
        *(f"connections/{name}" for name in ("alpha_db", "beta_db", SHARED)),
        *(f"variables/{team}_{end}" for team in ("alpha", "beta") for end in ("key", "written")),
        *(f"variables/{name}" for name in (SHARED, f"{SHARED}_written")),
    ):
        with suppress(NotFoundError):
            airflow.delete(path)


def run_dag(stack: Stack, airflow: AirflowApi, dag: str, conf: dict[str, Any] | None = None, date: str = "") -> Run:
    """Run a DAG to its end, with a logical date if one is given."""
    airflow.patch(f"dags/{dag}", {"is_paused": False})
    body = {"logical_date": date or None, "conf": conf or {}}
    run = Run(stack, airflow, dag, str(airflow.post(f"dags/{dag}/dagRuns", body)["dag_run_id"]))
    airflow.wait_for_run(dag, run.id, deadline_s=900)
    return run


def run_target(stack: Stack, airflow: AirflowApi, team: str, date: str) -> Target:
    """Run a team's DAG that other teams must not use."""
    run = run_dag(stack, airflow, f"isolation_{team}_target", date=date)
    task = run.task_instance()
    assert task["state"] == "success", run.read_log()
    return Target(team, run.id, task["id"])


def read_state(airflow: AirflowApi, target: Target) -> dict[str, Any]:
    """Return everything of a team that another team's task could have read, changed or started."""
    task = f"dags/{target.dag}/dagRuns/{quote(target.run)}/taskInstances/work"
    return {
        "connection": airflow.get(f"connections/{target.team}_db"),
        "variable": airflow.get(f"variables/{target.team}_key"),
        "variables": [entry["key"] for entry in airflow.get("variables")["variables"] if target.team in entry["key"]],
        "runs": [_list_runs(airflow, dag) for dag in (target.dag, f"isolation_{target.team}_listener")],
        "task": airflow.get(task),
        "tries": airflow.get(f"{task}/tries"),
        "xcoms": [entry["key"] for entry in airflow.get(f"{task}/xcomEntries")["xcom_entries"]],
        "xcom": airflow.read_xcom(target.dag, target.run, "work", "secret"),
        "events": [event["id"] for event in _list_events(airflow) if event["name"] == f"{target.team}_asset"],
    }


def count_listener_runs(airflow: AirflowApi, team: str) -> int:
    """Return how many runs an update of the team's asset has started."""
    return len(_list_runs(airflow, f"isolation_{team}_listener"))


def _list_runs(airflow: AirflowApi, dag: str) -> list[tuple[str, str]]:
    runs = airflow.get(f"dags/{dag}/dagRuns?limit=100")["dag_runs"]
    return sorted((run["dag_run_id"], run["state"]) for run in runs)


def _list_events(airflow: AirflowApi) -> list[dict[str, Any]]:
    return list(airflow.get("assets/events?limit=100&order_by=-timestamp")["asset_events"])
