"""Which file under rbac/ has the right that somebody lacks, by the rules that the contract publishes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from kpo_platform.kube.resource import Call

BOOTSTRAP_ROLES = "bootstrap-operator"
"""How the names of the roles begin that bootstrap and its neighbours need."""

Rules = Mapping[str, Sequence[Mapping[str, Any]]]
"""The rules of each role, by the name of its file."""


def find_role_files(call: Call | str, roles: str, rules: Rules) -> str:
    """The files that give what a call needs, as part of a sentence.

    Args:
        call: what was asked for.
        roles: how the names of the roles begin that the caller is to have.
        rules: the rules of the contract; empty as long as it could not be read.
    """
    every = f"rbac/{roles}*.yaml"
    if isinstance(call, str):
        return every
    found = [
        (role, rule.get("resourceNames"))
        for role in sorted(rules)
        if role.startswith(roles)
        for rule in rules[role]
        if _gives(rule, call)
    ]
    fitting = [f"rbac/{role}.yaml" for role, names in found if not names or call.name in names]
    if found and not fitting:
        return f"{every}, with {call.name} among the resourceNames"
    return " or ".join(fitting) or every


def _gives(rule: Mapping[str, Any], call: Call) -> bool:
    verbs = set(re.split(" and | or ", call.verbs))
    place = call.resource.group in rule["apiGroups"] and call.resource.plural in rule["resources"]
    return place and verbs <= set(rule["verbs"])
