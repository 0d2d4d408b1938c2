"""Configuration of FabAuthManager for login through an OpenID Connect provider (Airflow's `webserver_config.py`).

Roles are read from the mounted contract at every login, so a new team or owner needs no restart.

Environment:
    KPO_PLATFORM_OIDC: the chart's value `oidc` as JSON.
    KPO_PLATFORM_OIDC_SECRET: file with Airflow's client secret.
"""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

from airflow.providers.fab.auth_manager.security_manager.override import FabAirflowSecurityManagerOverride
from flask_appbuilder.const import AUTH_OAUTH
from werkzeug.security import check_password_hash

from kpo_platform.contract import Contract, load

log = logging.getLogger(__name__)

_oidc: dict[str, Any] = json.loads(os.environ["KPO_PLATFORM_OIDC"])


def map_roles(contract: Contract, oidc: dict[str, Any]) -> dict[str, list[str]]:
    """Map `Group:NAME` and `User:NAME`, by their names in Kubernetes, to Airflow roles."""
    roles: dict[str, list[str]] = {}
    for team in contract.teams.values():
        for owner in team.owners:
            roles.setdefault(f"{owner.kind}:{owner.name}", []).append(team.role)
    for group in oidc["adminGroups"]:
        roles.setdefault(f"Group:{oidc['kubernetesPrefix']}{group}", []).append("Admin")
    return roles


def build_user_info(claims: dict[str, Any], oidc: dict[str, Any]) -> dict[str, Any]:
    """Build FabAuthManager's user fields from the provider's claims.

    Raises:
        ValueError: the claim with the user name is missing.
    """
    name = claims.get(oidc["usernameClaim"])
    if not name:
        raise ValueError(
            f"The provider has sent no claim {oidc['usernameClaim']!r}, only {', '.join(sorted(claims))}. "
            "Add the claim at the provider, or name another one in oidc.usernameClaim."
        )
    groups = claims.get(oidc["groupsClaim"]) or []
    prefix = oidc["kubernetesPrefix"]
    return {
        "username": name,
        "email": claims.get("email", ""),
        "first_name": claims.get("given_name", ""),
        "last_name": claims.get("family_name", ""),
        "role_keys": [f"User:{prefix}{name}", *(f"Group:{prefix}{group}" for group in groups)],
    }


class PlatformSecurityManager(FabAirflowSecurityManagerOverride):
    """Security manager with roles from the contract; OIDC users cannot take over a local account."""

    @property
    def auth_roles_mapping(self) -> dict[str, list[str]]:
        """The current role mapping of the contract."""
        return map_roles(load(), _oidc)

    def get_oauth_user_info(self, provider: str, resp: dict[str, Any]) -> dict[str, Any]:
        """Return the user of a token; query the userinfo endpoint if the token lacks the groups."""
        claims: dict[str, Any] = dict(resp["userinfo"])
        if _oidc["groupsClaim"] not in claims:
            claims = {**self.oauth_remotes[provider].userinfo(token=resp), **claims}
        return build_user_info(claims, _oidc)

    def auth_user_oauth(self, userinfo: dict[str, Any], rotate_session_id: bool = True) -> Any:
        """Return the user's account with current roles; None if an account of this name has a password."""
        account = self.find_user(username=userinfo["username"])
        if account and account.password and not check_password_hash(account.password, ""):
            log.warning("Login of %s refused: a local account of this name has a password.", userinfo["username"])
            return None
        return super().auth_user_oauth(userinfo, rotate_session_id)


AUTH_TYPE = AUTH_OAUTH
AUTH_USER_REGISTRATION = True
AUTH_USER_REGISTRATION_ROLE = "Public"  # no permissions
AUTH_ROLES_SYNC_AT_LOGIN = True
SECURITY_MANAGER_CLASS = PlatformSecurityManager
OAUTH_PROVIDERS = [
    {
        "name": "oidc",
        "icon": "fa-key",
        "token_key": "access_token",
        "remote_app": {
            "client_id": _oidc["clientId"],
            "client_secret": Path(os.environ["KPO_PLATFORM_OIDC_SECRET"]).read_text().strip(),
            "server_metadata_url": f"{_oidc['issuer'].rstrip('/')}/.well-known/openid-configuration",
            "client_kwargs": {"scope": _oidc["scope"], "code_challenge_method": "S256"},
        },
    }
]
