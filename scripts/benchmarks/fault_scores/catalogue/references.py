"""Secrets and ConfigMaps that do not exist, or lack a key."""

from __future__ import annotations

from functools import partial
from typing import Any

from benchmarks.fault_scores.draw import Draw
from benchmarks.fault_scores.fault import Build, Expected, Fault, Json

_FIELDS = {"Secret": ("secretRef", "secretKeyRef"), "ConfigMap": ("configMapRef", "configMapKeyRef")}
_ABSENT = r"not exist|not found|missing"


def build_object(kind: str, name: str, data: dict[str, str]) -> Json:
    """Build a Secret or ConfigMap."""
    field = "stringData" if kind == "Secret" else "data"
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, field: data}


def build_volume(name: str, source: Json) -> tuple[Json, Json]:
    """Build the fields of spec and container that mount a volume."""
    spec = {"volumes": [{"name": name, **source}]}
    return spec, {"volumeMounts": [{"name": name, "mountPath": f"/mnt/{name}"}]}


def missing_environment(draw: Draw, kind: str) -> Fault:
    """An object of env_from that does not exist."""
    name = draw.name()
    expected = Expected(("KPO-STA101",), (name, _ABSENT), f"{kind} {name}", "env_from", is_healable=True)
    container = {"envFrom": [{_FIELDS[kind][0]: {"name": name}}]}
    return Fault(f"env-{kind.lower()}", expected, container=container)


def missing_object_of_variable(draw: Draw, kind: str) -> Fault:
    """An object of a variable that does not exist."""
    name, key, variable = draw.name(), draw.key(), draw.key()
    expected = Expected(("KPO-STA101",), (name, _ABSENT), f"{kind} {name}", variable, is_healable=True)
    return Fault(f"variable-{kind.lower()}", expected, container=_build_variable(variable, kind, name, key))


def missing_key(draw: Draw, kind: str) -> Fault:
    """A key that the object of a variable does not have."""
    name, key, variable = draw.name(), draw.key(), draw.key()
    present = build_object(kind, name, {draw.key(): draw.key()})
    expected = Expected(("KPO-STA102",), (name, key), f"{kind} {name}", variable, is_healable=True)
    container = _build_variable(variable, kind, name, key)
    return Fault(f"key-{kind.lower()}", expected, container=container, objects=(present,))


def missing_volume_object(draw: Draw, kind: str) -> Fault:
    """The object of a volume that does not exist."""
    name = draw.name()
    source: Json = {"secret": {"secretName": name}} if kind == "Secret" else {"configMap": {"name": name}}
    expected = Expected(("KPO-VOL117",), (name, _ABSENT), f"{kind} {name}", "volumes", is_healable=True)
    return Fault(f"volume-{kind.lower()}", expected, *build_volume("files", source))


def missing_volume_key(draw: Draw, kind: str) -> Fault:
    """A key that the object of a volume does not have."""
    name, key = draw.name(), draw.key()
    named: dict[str, Any] = {"secretName": name} if kind == "Secret" else {"name": name}
    source = {"secret" if kind == "Secret" else "configMap": {**named, "items": [{"key": key, "path": "file"}]}}
    present = build_object(kind, name, {draw.key(): draw.key()})
    expected = Expected(("KPO-VOL118",), (name, key), f"{kind} {name}", "volumes|items", is_healable=True)
    return Fault(f"volume-key-{kind.lower()}", expected, *build_volume("files", source), objects=(present,))


def missing_projected_object(draw: Draw) -> Fault:
    """An object of a projected volume that does not exist."""
    name = draw.name()
    source = {"projected": {"sources": [{"secret": {"name": name}}]}}
    expected = Expected(("KPO-VOL117",), (name, _ABSENT), f"Secret {name}", "volumes", is_healable=True)
    return Fault("projected-secret", expected, *build_volume("files", source))


def _build_variable(variable: str, kind: str, name: str, key: str) -> Json:
    return {"env": [{"name": variable, "valueFrom": {_FIELDS[kind][1]: {"name": name, "key": key}}}]}


FAULTS: tuple[Build, ...] = (
    *(
        partial(draw_fault, kind=kind)
        for draw_fault in (
            missing_environment,
            missing_object_of_variable,
            missing_key,
            missing_volume_object,
            missing_volume_key,
        )
        for kind in ("Secret", "ConfigMap")
    ),
    missing_projected_object,
)
"""The kinds of this family."""
