"""Find the file under rbac/ that grants a missing right, by the rules in the contract."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from kpo_platform.kube.resource import Call

BOOTSTRAP_ROLE_PREFIX = "bootstrap-operator"
"""The name prefix of the roles for `platformctl bootstrap`, `teams`, `contract` and `version`."""

Rules = Mapping[str, Sequence[Mapping[str, Any]]]
"""The rules of each role, by the name of its file without suffix."""


def find_role_files(call: Call | str, role_prefix: str, rules: Rules) -> str:
    """Return the files under rbac/ that grant a call, as part of a sentence.

    Args:
        call: the call.
        role_prefix: the name prefix of the roles that the caller should have.
        rules: the rules of the contract; empty if it has not been read.
    """
    all_files = f"rbac/{role_prefix}*.yaml"
    if isinstance(call, str):
        return all_files
    matches = [
        (role, rule.get("resourceNames"))
        for role in sorted(rules)
        if role.startswith(role_prefix)
        for rule in rules[role]
        if _allows(rule, call)
    ]
    files = [f"rbac/{role}.yaml" for role, names in matches if not names or call.name in names]
    if matches and not files:
        return f"{all_files}, with {call.name} among the resourceNames"
    return " or ".join(files) or all_files


def _allows(rule: Mapping[str, Any], call: Call) -> bool:
    """Check a rule's verbs and resources, but not its resourceNames."""
    verbs = set(re.split(" and | or ", call.verbs))
    has_resource = call.resource.group in rule["apiGroups"] and call.resource.plural in rule["resources"]
    return has_resource and verbs <= set(rule["verbs"])
