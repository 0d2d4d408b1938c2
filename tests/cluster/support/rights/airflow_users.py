"""People of two teams, and the DAG that each team has for them to find."""

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


def drop_dags(stack: Stack, airflow: AirflowApi) -> None:
    """Push a DAG of each team into its repository, and wait until Airflow has read them."""
    server = stack.service_address("git-server", "git")
    commits = {
        team: push_files(
            f"git://{server}/{team}.git", {"people.py": DAG.format(team=team)}, "A DAG for the team's people"
        )
        for team in ("alpha", "beta")
    }
    for team, commit in commits.items():
        airflow.wait_for_version(f"people_{team}", commit)


def make_person(airflow: AirflowApi, name: str, *roles: str) -> AirflowApi:
    """Make a user of Airflow with these roles, anew where there is one, and sign in as them."""
    password = secrets.token_urlsafe(16)
    body = {"username": name, "email": f"{name}@example.com", "first_name": name, "last_name": name}
    remove_person(airflow, name)
    airflow.call("POST", USERS, {**body, "password": password, "roles": [{"name": role} for role in roles]})
    return AirflowApi(airflow.address, name, password)


def remove_person(airflow: AirflowApi, name: str) -> None:
    """Remove a user where there is one."""
    with suppress(NotFoundError):
        airflow.call("DELETE", f"{USERS}/{name}")


def roles_of(airflow: AirflowApi, name: str) -> set[str]:
    """The roles that a user has."""
    return {role["name"] for role in airflow.call("GET", f"{USERS}/{name}")["roles"]}


@dataclass(frozen=True)
class Answer:
    """What the API server answered to one request."""

    status: int
    body: str


def ask(stack: Stack, token: str, method: str, path: str, body: object = None) -> Answer:
    """Send one request with somebody's token, and give the answer whatever it is."""
    connection = http.client.HTTPConnection(stack.service_address(f"{RELEASE}-api-server"), timeout=30)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "Accept": "application/json"}
    connection.request(method, path, None if body is None else json.dumps(body), headers)
    reply = connection.getresponse()
    try:
        return Answer(reply.status, reply.read(1_000_000).decode(errors="replace"))
    finally:
        connection.close()
