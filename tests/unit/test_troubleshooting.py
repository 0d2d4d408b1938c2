"""docs/troubleshooting.md, the JSON schema of findings, and the codes of all findings."""

from __future__ import annotations

import json
import re

from common.paths import REPOSITORY
from kpo_platform.cli.diagnosis_schema import build_schema
from kpo_platform.diagnosis.registry import CAUSES, RETIRED
from kpo_platform.doctor import RULES as RELEASE_RULES
from kpo_platform.finding import RULES as POD_RULES

DOCS = REPOSITORY / "docs"


def list_codes() -> list[str]:
    return [rule.code for rules in (POD_RULES, RELEASE_RULES, CAUSES) for rule in rules.values()]


def test_page_has_one_section_for_each_cause():
    page = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
    sections = re.findall(r"^### (.+)$", page, re.MULTILINE)
    assert sorted(sections) == sorted(rule.code for rule in CAUSES.values())


def test_every_section_says_how_to_reproduce_and_to_fix():
    page = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
    for section in re.split(r"^### ", page, flags=re.MULTILINE)[1:]:
        code, _, text = section.partition("\n")
        assert re.search(r"^- To reproduce: .+^- Fix: ", text, re.MULTILINE | re.DOTALL), code


def test_codes_of_all_findings_are_different_and_none_is_retired():
    codes = list_codes()
    assert len(codes) == len(set(codes))
    assert [code for code in codes if code in RETIRED] == []
    assert [code for code in codes if not re.fullmatch(r"KPO-[A-Z]+\d{3}", code)] == []


def test_schema_is_that_of_the_findings():
    assert json.loads((DOCS / "diagnosis.schema.json").read_text(encoding="utf-8")) == build_schema()
