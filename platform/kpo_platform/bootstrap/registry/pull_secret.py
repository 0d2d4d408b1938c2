"""The Secret with which a team's pods pull from its registry."""

from __future__ import annotations

import base64
import json
from typing import Any

from kpo_platform.bootstrap import labels
from kpo_platform.bootstrap.model import Action, LiveSecret, Login, Target, Verb, changes
from kpo_platform.bootstrap.registry.docker_config import SECRET_KEY, Credentials, bare_host, registry_key, short_life
from kpo_platform.contract import Team
from kpo_platform.kube import SECRET

TYPE = "kubernetes.io/dockerconfigjson"


def target(team: Team) -> Target:
    """The team's registry secret."""
    return Target(SECRET.kind, team.namespace, team.registry.pull_secret)


def plan(name: str, team: Team, credentials: Credentials, live: LiveSecret | None) -> Action:
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
        return _without_login(team, credentials.missing.get(host, ""), live)
    whole, about = body(name, team, login), f"registry {host}{credentials.answers.get(host, '')}{short_life(login)}"
    if live is None:
        return Action(Verb.CREATE, target(team), note=about, body=whole)
    if not labels.is_ours(live.labels):
        return _of_others(team, login, live)
    if live.type != TYPE:
        note = f"cannot change in place: its type {live.type} can never become {TYPE}: delete it and run again"
        return Action(Verb.BLOCKED, target(team), note=note)
    differing = changes(_differences(name, team, login, live))
    verb = Verb.CHANGE if differing else Verb.UNCHANGED
    return Action(verb, target(team), differing, about, whole if differing else {}, live.version)


def body(name: str, team: Team, login: Login) -> dict[str, Any]:
    """A team's registry secret as it is written.

    Args:
        name: the team's name.
        team: the team.
        login: the sign-in for its registry.
    """
    auth = base64.b64encode(f"{login.username}:{login.password}".encode()).decode()
    config = json.dumps({"auths": {registry_key(team.registry.host): {"auth": auth}}}, separators=(",", ":"))
    return {
        "apiVersion": "v1",
        "kind": SECRET.kind,
        "metadata": {
            "name": team.registry.pull_secret,
            "namespace": team.namespace,
            "labels": labels.labels(name),
        },
        "type": TYPE,
        "data": {SECRET_KEY: base64.b64encode(config.encode()).decode()},
    }


def _without_login(team: Team, reason: str, live: LiveSecret | None) -> Action:
    host = team.registry.host
    if live is not None and isinstance(live.logins.get(bare_host(host)), Login):
        note = f"registry {host}; no sign-in was given, kept as it is"
        return Action(Verb.UNCHANGED, target(team), note=note)
    note = (
        f"no sign-in for registry {host} ({reason}): "
        f"run docker login {host} or give --registry-config FILE, and run again"
    )
    return Action(Verb.BLOCKED, target(team), note=note)


def _of_others(team: Team, login: Login, live: LiveSecret) -> Action:
    if live.type == TYPE and live.logins.get(bare_host(team.registry.host)) == login:
        return Action(Verb.UNCHANGED, target(team), note="made by another hand, and as it should be")
    note = (
        f"it differs and is not ours (no label {labels.MARK}): change it where it is made, or delete it and run again"
    )
    return Action(Verb.BLOCKED, target(team), note=note)


def _differences(name: str, team: Team, login: Login, live: LiveSecret) -> list[tuple[str, str, str]]:
    host = bare_host(team.registry.host)
    found = live.logins.get(host)
    fields = labels.changed(live.labels, labels.labels(name))
    fields.append(("registries", ", ".join(sorted(live.logins)), host))
    if found is not None and found != login:
        fields.append((f"sign-in for {team.registry.host}", "(old, not shown)", "(new, not shown)"))
    return fields
