"""The teams' roles in Airflow: permissions, creation, and the wait for them."""

from __future__ import annotations

import json

import pytest
from airflow.providers.fab.auth_manager.security_manager.override import FabAirflowSecurityManagerOverride as Fab

from chart.objects import read_team_settings
from chart.pod_scripts import load_script
from chart.rendering import Object, map_pods_by_component, render

KEYCLOAK = {
    "core": {"auth_manager": "airflow.providers.keycloak.auth_manager.keycloak_auth_manager.KeycloakAuthManager"}
}


def list_init_containers(values: Object) -> list[str]:
    """Return the names of the DAG processor's init containers."""
    return [
        container["name"]
        for container in map_pods_by_component(render(values))["dag-processor"]["spec"]["initContainers"]
    ]


def test_role_of_every_team_is_given_to_its_user_owners() -> None:
    owners = [{"group": "data"}, {"user": "ada"}, {"user": "ben"}]
    roles = read_team_settings({"teams": {"alpha": {"owners": owners}, "beta": {}}})["roles.json"]
    assert roles == {"team-alpha": ["ada", "ben"], "team-beta": []}


def test_other_auth_manager_gets_no_team_roles() -> None:
    assert read_team_settings({"config": KEYCLOAK, "teams": {"alpha": {}}})["roles.json"] == {}


def test_dag_processor_waits_for_the_roles() -> None:
    assert list_init_containers({"teams": {"alpha": {}}}) == ["wait-for-migrations", "wait-for-roles"]
    assert (
        list_init_containers({})
        == list_init_containers({"config": KEYCLOAK, "teams": {"alpha": {}}})
        == ["wait-for-migrations"]
    )


def test_role_has_user_permissions_but_no_shared_resources(monkeypatch: pytest.MonkeyPatch) -> None:
    allowed = load_script("team_roles", monkeypatch).select_permissions(Fab.VIEWER_PERMISSIONS, Fab.USER_PERMISSIONS)
    actions: dict[str, list[str]] = {}
    for action, resource in allowed:
        actions.setdefault(resource, []).append(action.removeprefix("can_"))
    assert actions == {
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


class FakeConnection:
    """A database connection that returns these roles."""

    def __init__(self, *roles: str) -> None:
        self.roles = roles

    def execute(self, _: object) -> FakeConnection:
        return self

    def scalars(self) -> tuple[str, ...]:
        return self.roles


def test_wait_message_names_the_missing_roles(monkeypatch: pytest.MonkeyPatch) -> None:
    find_missing_roles = load_script("wait_for_roles", monkeypatch).find_missing_roles
    expected = {"team-alpha", "team-beta"}
    assert find_missing_roles(expected, FakeConnection("Admin", "team-alpha")) == (
        "the team-settings Job has not created the roles team-beta"
    )
    assert find_missing_roles(expected, FakeConnection("team-beta", "team-alpha")) == ""


def test_waiting_container_has_database_and_contract_only() -> None:
    (container,) = (
        container
        for container in map_pods_by_component(render({"teams": {"alpha": {}}}))["dag-processor"]["spec"][
            "initContainers"
        ]
        if container["name"] == "wait-for-roles"
    )
    assert [variable["name"] for variable in container["env"]] == [
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN",
        "CONNECTION_CHECK_MAX_COUNT",
    ]
    assert "contract" in json.dumps(container["volumeMounts"])
