"""Plan the Secret (``imagePullSecrets``) with which a team's pods pull images."""

from __future__ import annotations

import base64
import json
from typing import Any

from kpo_platform.bootstrap import labels
from kpo_platform.bootstrap.model import Action, LiveSecret, ObjectRef, RegistryLogin, Verb, find_changes
from kpo_platform.bootstrap.registry.docker_config import SECRET_KEY, RegistryCredentials, describe_expiry
from kpo_platform.bootstrap.registry.hosts import get_auths_key, normalize_host
from kpo_platform.contract import Team
from kpo_platform.kube import SECRET

SECRET_TYPE = "kubernetes.io/dockerconfigjson"


def make_secret_ref(team: Team) -> ObjectRef:
    """Make the reference to the team's registry secret."""
    return ObjectRef(SECRET.kind, team.namespace, team.registry.pull_secret)


def plan_pull_secret(name: str, team: Team, credentials: RegistryCredentials, live: LiveSecret | None) -> Action:
    """Plan a team's registry secret.

    Args:
        name: the team's name.
        team: a team with a registry.
        credentials: the credentials for the registries.
        live: the live Secret, if there is one.
    """
    host, target = team.registry.host, make_secret_ref(team)
    login = credentials.logins.get(host)
    if login is None:
        return _plan_without_login(team, credentials.missing.get(host, ""), live)
    secret = build_pull_secret(name, team, login)
    note = f"registry {host}{credentials.results.get(host, '')}{describe_expiry(login)}"
    if live is None:
        return Action(Verb.CREATE, target, note=note, body=secret)
    if not labels.is_managed(live.labels):
        return _plan_unmanaged(team, login, live)
    if live.type != SECRET_TYPE:
        note = (
            f"cannot change in place: type {live.type} → {SECRET_TYPE}: the type of a Secret is immutable. "
            "Delete the Secret and run again"
        )
        return Action(Verb.BLOCKED, target, note=note)
    changes = find_changes(_list_fields(name, team, login, live))
    verb = Verb.CHANGE if changes else Verb.UNCHANGED
    return Action(verb, target, changes, note, secret if changes else {}, live.resource_version)


def build_pull_secret(name: str, team: Team, login: RegistryLogin) -> dict[str, Any]:
    """Build a team's registry secret.

    Args:
        name: the team's name.
        team: the team.
        login: the login for its registry.
    """
    auth = base64.b64encode(f"{login.username}:{login.password}".encode()).decode()
    config = json.dumps({"auths": {get_auths_key(team.registry.host): {"auth": auth}}}, separators=(",", ":"))
    return {
        "apiVersion": "v1",
        "kind": SECRET.kind,
        "metadata": {
            "name": team.registry.pull_secret,
            "namespace": team.namespace,
            "labels": labels.build_team_labels(name),
        },
        "type": SECRET_TYPE,
        "data": {SECRET_KEY: base64.b64encode(config.encode()).decode()},
    }


def _plan_without_login(team: Team, reason: str, live: LiveSecret | None) -> Action:
    host, target = team.registry.host, make_secret_ref(team)
    if live is not None and isinstance(live.logins.get(normalize_host(host)), RegistryLogin):
        return Action(Verb.UNCHANGED, target, note=f"registry {host}; no credentials given, kept unchanged")
    note = (
        f"no credentials for registry {host} ({reason}). "
        f"Run docker login {host} or pass --registry-config FILE, and run again"
    )
    return Action(Verb.BLOCKED, target, note=note)


def _plan_unmanaged(team: Team, login: RegistryLogin, live: LiveSecret) -> Action:
    target = make_secret_ref(team)
    if live.type == SECRET_TYPE and live.logins.get(normalize_host(team.registry.host)) == login:
        return Action(Verb.UNCHANGED, target, note="not managed by platformctl, and correct")
    note = (
        f"it does not match the credentials and is not managed by platformctl (no label {labels.SELECTOR}). "
        "Change it where it is defined, or delete it and run again"
    )
    return Action(Verb.BLOCKED, target, note=note)


def _list_fields(name: str, team: Team, login: RegistryLogin, live: LiveSecret) -> list[tuple[str, str, str]]:
    host = normalize_host(team.registry.host)
    current = live.logins.get(host)
    fields = labels.list_label_fields(live.labels, labels.build_team_labels(name))
    fields.append(("registries", ", ".join(sorted(live.logins)), host))
    if current is not None and current != login:
        fields.append((f"credentials for {team.registry.host}", "(old, not shown)", "(new, not shown)"))
    return fields
