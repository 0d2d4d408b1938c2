"""Secrets and ConfigMaps to which a pod refers, and which do not exist or lack a key."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from kpo_platform.diagnosis.cause import PLATFORM_TEAM, Cause, build_cause
from kpo_platform.diagnosis.facts import Facts, Lookup
from kpo_platform.diagnosis.signals import Signal
from kpo_platform.finding import Fix, ObjectRef, Rule
from kpo_platform.pod.json_fields import read_object, read_objects, read_text
from kpo_platform.pod.merge import Json

_MISSING = re.compile(r'\b(secret|configmap)s? "([^"]+)" not found', re.IGNORECASE)
_KINDS = {"secret": "Secret", "configmap": "ConfigMap"}
_CREATE = {"Secret": "secret generic", "ConfigMap": "configmap"}
_TYPE_VALUE = "type the value of the key {} without Enter, and then Ctrl-D twice"
_CLUSTER_CA = "kube-root-ca.crt"


def find_missing_objects(message: str) -> list[tuple[str, str]]:
    """Find the Secrets and ConfigMaps that do not exist, by a message: kind and name."""
    return list(dict.fromkeys((_KINDS[match[1].lower()], match[2]) for match in _MISSING.finditer(message)))


def describe_missing_object(
    facts: Facts, lookup: Lookup, rule: Rule, kind: str, name: str, signal: Signal, place: str
) -> Cause:
    """Describe a Secret or ConfigMap that does not exist.

    Args:
        facts: what is known about the pod.
        lookup: objects of the cluster.
        rule: what is violated.
        kind: ``Secret`` or ``ConfigMap``.
        name: its name.
        signal: what Kubernetes says.
        place: what refers to it, such as ``env_from``.
    """
    about = ObjectRef(kind, name, facts.namespace)
    text = f'{kind} "{name}" does not exist in {facts.namespace}'
    if name == _CLUSTER_CA:
        fix = Fix("Kubernetes writes it into every namespace; check kube-controller-manager.", who=PLATFORM_TEAM)
        return build_cause(rule, about, text, signal, fix, "waits")
    if lookup.get(kind, name, facts.namespace).found is not None:
        text = f'{kind} "{name}" did not exist in {facts.namespace} when the node tried to read it, and exists now'
        return build_cause(rule, about, text, signal, Fix("The node tries again within two minutes."), "waits")
    keys = sorted({key for found, key in _list_references(facts.spec) if found == (kind, name) and key})
    source = "--from-env-file=/dev/stdin"
    listed = f" ({', '.join(keys)})" if keys else ""
    content = f"type lines KEY=VALUE{listed} and then Ctrl-D"
    if len(keys) == 1:
        source, content = f"--from-file={shlex.quote(keys[0])}=/dev/stdin", _TYPE_VALUE.format(keys[0])
    command = f"kubectl -n {shlex.quote(facts.namespace)} create {_CREATE[kind]} {shlex.quote(name)} {source}"
    advice = f"Correct {place}, or create it ({content}):"
    fix = Fix(advice, (command,), who=_find_owner(place))
    return build_cause(rule, about, text, signal, fix, "grace")


def describe_missing_key(facts: Facts, rule: Rule, kind: str, name: str, key: str, signal: Signal, place: str) -> Cause:
    """Describe a Secret or ConfigMap that lacks a key; arguments as of `describe_missing_object`."""
    text = f'{kind} "{name}" in {facts.namespace} has no key "{key}"'
    if not name:
        fix = Fix(f"Correct the key in {place}, or add it.")
        text = f'A {kind} of the pod has no key "{key}"'
        return build_cause(rule, facts.pod_ref, text, signal, fix, "grace")
    # With a field manager of its own, the apply adds the key and leaves those of others.
    manager = f"--server-side --field-manager={shlex.quote(f'key-{key}')}"
    create = f"create {_CREATE[kind]} {shlex.quote(name)} --from-file={shlex.quote(key)}=/dev/stdin"
    namespace = f"-n {shlex.quote(facts.namespace)}"
    command = f"kubectl {namespace} {create} --dry-run=client -o yaml | kubectl {namespace} apply {manager} -f -"
    advice = f"Correct the key in {place}, or add it ({_TYPE_VALUE.format(key)}):"
    fix = Fix(advice, (command,), who=_find_owner(place))
    return build_cause(rule, ObjectRef(kind, name, facts.namespace), text, signal, fix, "grace")


def find_environment_place(facts: Facts, container: str, kind: str, name: str, key: str = "") -> str:
    """Find which argument refers to a Secret or ConfigMap from the environment of a container."""
    if facts.team and any(found[1] == name for found, _ in _list_references(facts.team.env)):
        return f"teams.{facts.team_name}.env"
    if facts.team and any(found[1] == name for found, _ in _list_references(facts.team.env_from)):
        return f"teams.{facts.team_name}.envFrom"
    spec = facts.find_container(container)
    places = []
    if any(found == (kind, name) for found, _ in _list_references(spec.get("envFrom"))) and not key:
        places.append("env_from")
    variables = [
        read_text(each.get("name"))
        for each in read_objects(spec.get("env"))
        if any(found == (kind, name) and key in ("", its) for found, its in _list_references(each))
    ]
    if variables:
        argument = "env_vars or secrets" if kind == "Secret" else "env_vars"
        places.append(f"{argument} ({', '.join(variables)})")
    text = " and ".join(places) or "env_from or env_vars"
    return text if container in ("", facts.program.name) else f'{text} of the container "{container}"'


def find_volume_object(volume: Json, kind: str, key: str) -> str:
    """Find the name of the Secret or ConfigMap of a volume that has to have a key; empty if it is not known."""
    names = [found[1] for found, its in _list_references(volume) if found[0] == kind and its == key]
    return names[0] if names else ""


def check_references(
    facts: Facts, lookup: Lookup, rules: tuple[Rule, Rule], part: object, field: str, place: str
) -> Iterator[Cause]:
    """Find references in a part of a planned pod to objects that do not exist, or to ConfigMaps without a key.

    Args:
        facts: what is known about the pod.
        lookup: objects of the cluster.
        rules: what a missing object and a missing key violate.
        part: the part of the pod.
        field: its path in the pod.
        place: the argument that sets it; empty to find it in the environment of the container.
    """
    for (kind, name), key in dict.fromkeys(_list_references(part, is_needed=True)):
        container = field.partition("[")[2].partition("]")[0]
        where = place or find_environment_place(facts, container, kind, name, key)
        named = f'{kind} "{name}"' + (f', key "{key}"' if key else "")
        signal, looked = Signal("spec", "", f"{field} refers to {named}"), lookup.get(kind, name, facts.namespace)
        if looked.is_absent:
            yield describe_missing_object(facts, lookup, rules[0], kind, name, signal, where)
        elif key and kind == "ConfigMap" and looked.found is not None:  # of a Secret only its existence is known
            keys = {**read_object(looked.found.get("data")), **read_object(looked.found.get("binaryData"))}
            if key not in keys:
                yield describe_missing_key(facts, rules[1], kind, name, key, signal, where)


def _find_owner(place: str) -> str:
    return PLATFORM_TEAM if place.startswith("teams.") else ""


def _list_references(value: object, *, is_needed: bool = False) -> Iterator[tuple[tuple[str, str], str]]:
    """List the references to Secrets and ConfigMaps anywhere in a part of a pod: kind, name and key.

    Args:
        value: the part of the pod.
        is_needed: whether optional references are left out.
    """
    if isinstance(value, (list, tuple)):
        for each in value:
            yield from _list_references(each, is_needed=is_needed)
    for field, content in read_object(value).items():
        if not isinstance(content, (dict, list, tuple)):
            continue
        kind = next((kind for word, kind in _KINDS.items() if str(field).lower().startswith(word)), "")
        found = read_object(content)
        name = read_text(found.get("name")) or read_text(found.get("secretName"))
        if is_needed and kind and found.get("optional") is True:
            continue
        if kind and name:
            parts = [found, *read_objects(found.get("items"))]
            keys = [read_text(each.get("key")) for each in parts]
            yield from (((kind, name), key) for key in [*filter(None, keys)] or [""])
        else:
            yield from _list_references(content, is_needed=is_needed)
