"""The Airflow connection by which tasks reach the cluster that Airflow itself runs in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from kpo_platform.bootstrap.actions import CONNECTION, Action, Target, Verb, changes
from kpo_platform.bootstrap.state import LiveConnection
from kpo_platform.contract import XComSidecar
from kpo_platform.pod.xcom import connection_extra

TYPE = "kubernetes"
DESCRIPTION = "The cluster that Airflow runs in. Kept by platformctl bootstrap."

# The provider's hook refuses more than one way to the cluster; it also still reads the old spelling.
_OTHER_WAYS = ("kube_config", "kube_config_path", "config_dict")
_CONTRADICTING = {*_OTHER_WAYS, *(f"extra__kubernetes__{key}" for key in (*_OTHER_WAYS, "in_cluster"))}


def target(name: str) -> Target:
    """The connection of this id."""
    return Target(CONNECTION, "", name)


def plan(name: str, sidecar: XComSidecar, live: LiveConnection | None) -> Action:
    """What happens to a connection.

    Keys that others put into the extra stay, but for those that name another way to a cluster.

    Args:
        name: the connection's id.
        sidecar: the stock operator's XCom sidecar.
        live: the connection that is there, if there is one.
    """
    ours = connection_extra(sidecar)
    if live is None:
        return Action(Verb.CREATE, target(name), note="in cluster", body=_body(name, ours))
    kept = {key: value for key, value in live.extra.items() if key not in _CONTRADICTING}
    fields = [("type", live.type, TYPE)]
    fields += [(f"extra.{key}", _shown(live.extra, key), _shown(ours, key)) for key in ours]
    # Not shown, because they may hold credentials.
    dropped = sorted(_CONTRADICTING & live.extra.keys())
    fields += [(f"extra.{key}", "(not shown)", "(none)") for key in dropped]
    differing = changes(fields)
    verb = Verb.CHANGE if differing else Verb.UNCHANGED
    body = _body(name, kept | ours) if differing else {}
    return Action(verb, target(name), differing, "in cluster", body)


def _shown(values: Mapping[str, Any], key: str) -> str:
    value = values.get(key, "(none)")
    if not isinstance(value, str):
        return json.dumps(value)
    try:
        return json.dumps(json.loads(value), sort_keys=True)  # JSON in text differs only where its meaning does
    except ValueError:
        return value


def _body(name: str, content: Mapping[str, Any]) -> dict[str, Any]:
    text = json.dumps(content, sort_keys=True)
    return {"connection_id": name, "conn_type": TYPE, "description": DESCRIPTION, "extra": text}
