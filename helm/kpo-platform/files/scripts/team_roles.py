"""The teams' roles in Airflow, for FabAuthManager.

A role allows its users to use Airflow, but gives no access to DAGs: the cluster policy writes the access of a team's
role into each of the team's DAGs. The role leaves out resources that FabAuthManager cannot limit to some DAGs. With
access to assets, for example, a team could see and trigger the assets of other teams.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

SHARED_RESOURCES = frozenset({"Assets", "Asset Aliases", "Jobs", "Cluster Activity", "SLA Misses"})
"""Resources that FabAuthManager cannot limit to some DAGs."""


def select_permissions(viewer: list[tuple[str, str]], user: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the permissions of a team's role, as (action, resource), from those of the roles Viewer and User.

    They allow nothing on all DAGs except the menu entry.
    """
    return [
        (action, resource)
        for action, resource in [*viewer, *user]
        if resource not in SHARED_RESOURCES and (resource != "DAGs" or action == "menu_access")
    ]


def create_roles(users_by_role: dict[str, list[str]]) -> None:
    """Create the roles, add missing permissions to existing ones, and give each role to its existing users.

    Args:
        users_by_role: role → user names. Roles and users keep all other permissions and roles.
    """
    from airflow.providers.fab.auth_manager.models import Role, User
    from airflow.providers.fab.www.security_appless import ApplessAirflowSecurityManager
    from airflow.utils.session import create_session

    with create_session() as session:
        manager = ApplessAirflowSecurityManager(session)
        allowed = select_permissions(manager.VIEWER_PERMISSIONS, manager.USER_PERMISSIONS)
        permissions: list[Any] = [manager.create_permission(*pair) for pair in allowed]
        roles = {role.name: role for role in session.scalars(select(Role).where(Role.name.in_(users_by_role))).unique()}
        names = {name for users in users_by_role.values() for name in users}
        users = {user.username: user for user in session.scalars(select(User).where(User.username.in_(names)))}
        for name, members in users_by_role.items():
            role = roles.get(name) or Role(name=name)
            session.add(role)
            _add_missing(role.permissions, permissions)
            for user in (users[member] for member in members if member in users):
                _add_missing(user.roles, [role])
    print(f"Roles: {len(users_by_role)} up to date")


def _add_missing(items: list[Any], additions: list[Any]) -> None:
    items.extend(item for item in additions if item not in items)
