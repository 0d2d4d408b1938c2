"""Sign-in by an OpenID Connect provider: what the API server's FabAuthManager reads as its `webserver_config.py`.

Who is in which team is read from the mounted contract at every sign-in, so a new team or owner needs no restart.

Environment:
    KPO_PLATFORM_OIDC: the chart's value `oidc`, as JSON.
    KPO_PLATFORM_OIDC_SECRET: the file with Airflow's secret at the provider.
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


def roles(contract: Contract, oidc: dict[str, Any]) -> dict[str, list[str]]:
    """Which roles whoever gets: `Group:NAME` or `User:NAME`, as Kubernetes calls them, → names of roles."""
    found: dict[str, list[str]] = {}
    for team in contract.teams.values():
        for owner in team.owners:
            found.setdefault(f"{owner.kind}:{owner.name}", []).append(team.role)
    for group in oidc["adminGroups"]:
        found.setdefault(f"Group:{oidc['kubernetesPrefix']}{group}", []).append("Admin")
    return found


def person(claims: dict[str, Any], oidc: dict[str, Any]) -> dict[str, Any]:
    """Somebody as FabAuthManager knows people, out of what the provider says of them.

    Raises:
        ValueError: the provider does not name them.
    """
    name = claims.get(oidc["usernameClaim"])
    if not name:
        raise ValueError(
            f"the provider sent no claim {oidc['usernameClaim']!r}, only {', '.join(sorted(claims))}; "
            "let it send one, or name another in oidc.usernameClaim"
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
    """FabAuthManager's, with roles from the contract; who signs in by the provider cannot enter a local account."""

    @property
    def auth_roles_mapping(self) -> dict[str, list[str]]:
        """Who gets which roles, as of now."""
        return roles(load(), _oidc)

    def get_oauth_user_info(self, provider: str, resp: dict[str, Any]) -> dict[str, Any]:
        """The person whose token the provider sent; asks it once more where the token does not name the groups."""
        claims: dict[str, Any] = dict(resp["userinfo"])
        if _oidc["groupsClaim"] not in claims:
            claims = {**self.oauth_remotes[provider].userinfo(token=resp), **claims}
        return person(claims, _oidc)

    def auth_user_oauth(self, userinfo: dict[str, Any], rotate_session_id: bool = True) -> Any:
        """The account of that person, with the roles of now; none for the name of an account that has a password."""
        account = self.find_user(username=userinfo["username"])
        if account and account.password and not check_password_hash(account.password, ""):
            log.warning("%s did not sign in: an account of this name has a password of its own", userinfo["username"])
            return None
        return super().auth_user_oauth(userinfo, rotate_session_id)


AUTH_TYPE = AUTH_OAUTH
AUTH_USER_REGISTRATION = True
AUTH_USER_REGISTRATION_ROLE = "Public"  # may nothing
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
