"""The rules for DAG files, and the documentation of them."""

from __future__ import annotations

import re

from common.paths import REPOSITORY
from kpo_platform.finding import RULES


def test_docs_list_every_rule_with_its_requirement():
    page = (REPOSITORY / "docs" / "dag-testing.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(KPO-\w+)` \| (.*) \|$", page, re.MULTILINE)
    assert rows == [(rule.code, rule.requirement.removesuffix(".")) for rule in RULES.values()]
