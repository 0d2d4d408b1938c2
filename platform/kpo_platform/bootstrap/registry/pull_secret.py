"""The Secret with which a team's pods pull from its registry."""

from __future__ import annotations

import base64
import json
from typing import Any

from kpo_platform.bootstrap import labels
from kpo_platform.bootstrap.model import Action, LiveSecret, ObjectRef, RegistryLogin, Verb, find_changes
from kpo_platform.bootstrap.registry.docker_config import (
    SECRET_KEY,
    RegistryCredentials,
    describe_expiry,
    get_auths_key,
    normalize_host,
)
from kpo_platform.contract import Team
from kpo_platform.kube import SECRET

SECRET_TYPE = "kubernetes.io/dockerconfigjson"


def make_secret_ref(team: Team) -> ObjectRef:
    """The team's registry secret."""
    return ObjectRef(SECRET.kind, team.namespace, team.registry.pull_secret)


def plan_pull_secret(name: str, team: Team, credentials: RegistryCredentials, live: LiveSecret | None) -> Action:
    """What happens to a team's registry secret.

    Args:
        name: the team's name.
        team: a team that has a registry.
        credentials: what was found for the registries' hosts.
        live: the Secret that is there, if there is one.
    """
    host = team.registry.host
    login = credentials.logins.get(host)
    if login is None:
        return _plan_without_login(team, credentials.missing.get(host, ""), live)
    whole, about = (
        build_pull_secret(name, team, login),
        f"registry {host}{credentials.answers.get(host, '')}{describe_expiry(login)}",
    )
    if live is None:
        return Action(Verb.CREATE, make_secret_ref(team), note=about, body=whole)
    if not labels.is_managed(live.labels):
        return _plan_unmanaged(team, login, live)
    if live.type != SECRET_TYPE:
        note = f"cannot change in place: its type {live.type} can never become {SECRET_TYPE}: delete it and run again"
        return Action(Verb.BLOCKED, make_secret_ref(team), note=note)
    differing = find_changes(_list_fields(name, team, login, live))
    verb = Verb.CHANGE if differing else Verb.UNCHANGED
    return Action(verb, make_secret_ref(team), differing, about, whole if differing else {}, live.resource_version)


def build_pull_secret(name: str, team: Team, login: RegistryLogin) -> dict[str, Any]:
    """A team's registry secret as it is written.

    Args:
        name: the team's name.
        team: the team.
        login: the sign-in for its registry.
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
    host = team.registry.host
    if live is not None and isinstance(live.logins.get(normalize_host(host)), RegistryLogin):
        note = f"registry {host}; no sign-in was given, kept as it is"
        return Action(Verb.UNCHANGED, make_secret_ref(team), note=note)
    note = (
        f"no sign-in for registry {host} ({reason}): "
        f"run docker login {host} or give --registry-config FILE, and run again"
    )
    return Action(Verb.BLOCKED, make_secret_ref(team), note=note)


def _plan_unmanaged(team: Team, login: RegistryLogin, live: LiveSecret) -> Action:
    if live.type == SECRET_TYPE and live.logins.get(normalize_host(team.registry.host)) == login:
        return Action(Verb.UNCHANGED, make_secret_ref(team), note="made by another hand, and as it should be")
    note = (
        f"it differs and is not ours (no label {labels.SELECTOR}): "
        "change it where it is made, or delete it and run again"
    )
    return Action(Verb.BLOCKED, make_secret_ref(team), note=note)


def _list_fields(name: str, team: Team, login: RegistryLogin, live: LiveSecret) -> list[tuple[str, str, str]]:
    host = normalize_host(team.registry.host)
    found = live.logins.get(host)
    fields = labels.list_label_changes(live.labels, labels.build_team_labels(name))
    fields.append(("registries", ", ".join(sorted(live.logins)), host))
    if found is not None and found != login:
        fields.append((f"sign-in for {team.registry.host}", "(old, not shown)", "(new, not shown)"))
    return fields
