"""The role that a team's people have in Airflow: what it may, who makes it, and who waits for it."""

from __future__ import annotations

import json

import pytest
from airflow.providers.fab.auth_manager.security_manager.override import FabAirflowSecurityManagerOverride as Fab

from chart.rendering import Object, pods_by_component, render
from chart.test_scripts import script
from chart.test_team_settings import settings

KEYCLOAK = {
    "core": {"auth_manager": "airflow.providers.keycloak.auth_manager.keycloak_auth_manager.KeycloakAuthManager"}
}


def waiting(values: Object) -> list[str]:
    """The init containers of the DAG processor."""
    return [
        container["name"] for container in pods_by_component(render(values))["dag-processor"]["spec"]["initContainers"]
    ]


def test_every_team_s_role_is_made_and_given_to_the_users_among_its_owners() -> None:
    owners = [{"group": "data"}, {"user": "ada"}, {"user": "ben"}]
    found = settings({"teams": {"alpha": {"owners": owners}, "beta": {}}})["roles.json"]
    assert found == {"team-alpha": ["ada", "ben"], "team-beta": []}


def test_airflow_that_keeps_no_roles_gets_none() -> None:
    assert settings({"config": KEYCLOAK, "teams": {"alpha": {}}})["roles.json"] == {}


def test_dags_are_read_once_the_roles_are_there() -> None:
    assert waiting({"teams": {"alpha": {}}}) == ["wait-for-migrations", "wait-for-roles"]
    assert waiting({}) == waiting({"config": KEYCLOAK, "teams": {"alpha": {}}}) == ["wait-for-migrations"]


def test_a_role_may_what_a_user_may_but_on_no_dag_and_nothing_of_all_teams(monkeypatch: pytest.MonkeyPatch) -> None:
    allowed = script("team_roles", monkeypatch).permissions(Fab.VIEWER_PERMISSIONS, Fab.USER_PERMISSIONS)
    written: dict[str, list[str]] = {}
    for action, resource in allowed:
        written.setdefault(resource, []).append(action.removeprefix("can_"))
    assert written == {
        "DAGs": ["menu_access"],
        "DAG Dependencies": ["read", "menu_access"],
        "DAG Code": ["read"],
        "DAG Runs": ["read", "menu_access", "create", "edit", "delete"],
        "DAG Versions": ["read"],
        "DAG Warnings": ["read"],
        "Backfills": ["read"],
        "Pools": ["read"],
        "ImportError": ["read"],
        "My Password": ["read", "edit"],
        "My Profile": ["read", "edit"],
        "Task Instances": ["read", "menu_access", "create", "edit", "delete"],
        "Task Logs": ["read"],
        "XComs": ["read"],
        "HITL Detail": ["read", "edit"],
        "Website": ["read"],
        "Browse": ["menu_access"],
        "Documentation": ["menu_access"],
        "Docs": ["menu_access"],
    }


class Answering:
    """A database that knows these roles."""

    def __init__(self, *roles: str) -> None:
        self.roles = roles

    def execute(self, _: object) -> Answering:
        return self

    def scalars(self) -> tuple[str, ...]:
        return self.roles


def test_the_wait_names_the_roles_that_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = script("wait_for_roles", monkeypatch).missing
    wanted = {"team-alpha", "team-beta"}
    assert missing(wanted, Answering("Admin", "team-alpha")) == "the team-settings job has not made the roles team-beta"
    assert missing(wanted, Answering("team-beta", "team-alpha")) == ""


def test_the_waiting_container_gets_the_database_and_the_contract_alone() -> None:
    (container,) = (
        one
        for one in pods_by_component(render({"teams": {"alpha": {}}}))["dag-processor"]["spec"]["initContainers"]
        if one["name"] == "wait-for-roles"
    )
    assert [variable["name"] for variable in container["env"]] == [
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN",
        "CONNECTION_CHECK_MAX_COUNT",
    ]
    assert "contract" in json.dumps(container["volumeMounts"])
