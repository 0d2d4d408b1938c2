"""The teams' roles in Airflow, where FabAuthManager keeps who may do what in the database.

A role lets people use Airflow, but names no DAG: which DAGs they see is what the cluster policy writes into each DAG of
their team. What FabAuthManager cannot give for some DAGs alone, such as assets, which would show a team the names of
another's and let it start them, is left out.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

NOT_OF_ONE_TEAM = frozenset({"Assets", "Asset Aliases", "Jobs", "Cluster Activity", "SLA Misses"})
"""Resources that FabAuthManager cannot give for some DAGs only."""


def permissions(viewer: list[tuple[str, str]], user: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """What a team's role may, out of what Airflow's own roles Viewer and User may, as (action, resource).

    Without anything on all DAGs, except for their place in the menu.
    """
    return [
        (action, resource)
        for action, resource in [*viewer, *user]
        if resource not in NOT_OF_ONE_TEAM and (resource != "DAGs" or action == "menu_access")
    ]


def make_roles(wanted: dict[str, list[str]]) -> None:
    """Make the roles, or give those that exist what they lack, and give them to the users who are named and exist.

    Args:
        wanted: role → names of users. Nothing is taken from a role or a user.
    """
    from airflow.providers.fab.auth_manager.models import Role, User
    from airflow.providers.fab.www.security_appless import ApplessAirflowSecurityManager
    from airflow.utils.session import create_session

    with create_session() as session:
        manager = ApplessAirflowSecurityManager(session)
        allowed = permissions(manager.VIEWER_PERMISSIONS, manager.USER_PERMISSIONS)
        given: list[Any] = [manager.create_permission(*pair) for pair in allowed]
        roles = {role.name: role for role in session.scalars(select(Role).where(Role.name.in_(wanted))).unique()}
        named = {person for people in wanted.values() for person in people}
        users = {user.username: user for user in session.scalars(select(User).where(User.username.in_(named)))}
        for name, people in wanted.items():
            role = roles.get(name) or Role(name=name)
            session.add(role)
            _extend(role.permissions, given)
            for user in (users[person] for person in people if person in users):
                _extend(user.roles, [role])
    print(f"roles: {len(wanted)} are as they should be")


def _extend(held: list[Any], more: list[Any]) -> None:
    held.extend(one for one in more if one not in held)
