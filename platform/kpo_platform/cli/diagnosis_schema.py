"""The JSON schema of the output of `platformctl diagnose -o json`, from the registry of causes."""

from __future__ import annotations

from typing import Any, get_args

from kpo_platform.diagnosis.cause import Outlook
from kpo_platform.diagnosis.registry import CAUSES
from kpo_platform.finding import Severity

_TEXT = {"type": "string"}


def build_schema() -> dict[str, Any]:
    """Return the schema, which is stored as docs/diagnosis.schema.json."""
    unread = _build_object({"pod": _TEXT, "what": _TEXT})
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Output of platformctl diagnose -o json",
        **_build_object({"findings": _build_list(_build_finding()), "could_not_look": _build_list(unread)}),
    }


def _build_finding() -> dict[str, Any]:
    fix = _build_object({"text": _TEXT, "commands": _build_list(_TEXT), "who": _TEXT}, {"patch": {"type": "object"}})
    properties = {
        "pod": _TEXT,
        "code": {"enum": sorted(rule.code for rule in CAUSES.values())},
        "severity": {"enum": list(get_args(Severity))},
        "object": _build_object({"kind": _TEXT, "name": _TEXT, "namespace": _TEXT}),
        "cause": _TEXT,
        "evidence": _build_list(_TEXT),
        "fix": fix,
        "outlook": {"enum": list(get_args(Outlook))},
    }
    return _build_object(properties)


def _build_object(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    properties = {**required, **(optional or {})}
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def _build_list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}
