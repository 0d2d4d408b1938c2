"""Airflow users with roles, and a DAG per team."""

from __future__ import annotations

import http.client
import json
import secrets
from contextlib import suppress
from dataclasses import dataclass

from stack.airflow_api import AirflowApi, NotFoundError
from stack.git_push import push_files
from stack.release import RELEASE, Stack

USERS = "/auth/fab/v1/users"

DAG = """
from airflow.sdk import DAG
from kpo_platform import TeamPodOperator

with DAG("people_{team}", schedule=None, tags=["of-{team}"]):
    TeamPodOperator(task_id="work", image="busybox:1.35", cmds=["echo", "for {team}"], do_xcom_push=False)
"""


def push_team_dags(stack: Stack, airflow: AirflowApi) -> None:
    """Push a DAG to each team's repository, and wait until Airflow has loaded them."""
    server = stack.service_address("git-server", "git")
    commits = {
        team: push_files(
            f"git://{server}/{team}.git", {"people.py": DAG.format(team=team)}, "Add a DAG for the team's users"
        )
        for team in ("alpha", "beta")
    }
    for team, commit in commits.items():
        airflow.wait_for_version(f"people_{team}", commit)


def create_user(airflow: AirflowApi, name: str, *roles: str) -> AirflowApi:
    """Create or replace an Airflow user with roles; return its client."""
    password = secrets.token_urlsafe(16)
    body = {"username": name, "email": f"{name}@example.com", "first_name": name, "last_name": name}
    delete_user(airflow, name)
    airflow.call("POST", USERS, {**body, "password": password, "roles": [{"name": role} for role in roles]})
    return AirflowApi(airflow.address, name, password)


def delete_user(airflow: AirflowApi, name: str) -> None:
    """Delete a user if it exists."""
    with suppress(NotFoundError):
        airflow.call("DELETE", f"{USERS}/{name}")


def read_roles(airflow: AirflowApi, name: str) -> set[str]:
    """Return the roles of a user."""
    return {role["name"] for role in airflow.call("GET", f"{USERS}/{name}")["roles"]}


@dataclass(frozen=True)
class Response:
    """A response of Airflow's API server."""

    status: int
    body: str


def send_request(stack: Stack, token: str, method: str, path: str, body: object = None) -> Response:
    """Send a request with a token, and return the response whatever its status."""
    connection = http.client.HTTPConnection(stack.service_address(f"{RELEASE}-api-server"), timeout=30)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "Accept": "application/json"}
    connection.request(method, path, None if body is None else json.dumps(body), headers)
    reply = connection.getresponse()
    try:
        return Response(reply.status, reply.read(1_000_000).decode(errors="replace"))
    finally:
        connection.close()
