"""How findings look: as text for people, as JSON, and as SARIF for what shows them beside the code."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import PurePath
from typing import Any

from kpo_platform.cli.output import clean
from kpo_platform.finding import RULES, Finding

_SARIF = "https://json.schemastore.org/sarif-2.1.0.json"


@dataclass(frozen=True)
class Located:
    """A finding, with the file and the line (from 1) to which it leads."""

    file: str
    line: int
    finding: Finding


def as_lines(found: Iterable[Located]) -> list[tuple[str, str | None]]:
    """One line each, with the place where editors and terminals look for one."""
    return [(clean(f"{each.file}:{each.line}: {_sentence(each.finding)}"), "red") for each in found]


def as_json(found: Iterable[Located]) -> dict[str, Any]:
    """All findings with all their fields."""
    return {"findings": [{"file": each.file, "line": each.line, **asdict(each.finding)} for each in found]}


def as_sarif(found: Iterable[Located]) -> dict[str, Any]:
    """A SARIF 2.1.0 log with one run; every rule is listed, found or not."""
    rules = [
        {"id": rule.code, "name": name, "shortDescription": {"text": rule.sentence}} for name, rule in RULES.items()
    ]
    driver = {"name": "platformctl lint", "rules": rules}
    run = {"tool": {"driver": driver}, "results": [_result(each) for each in found]}
    return {"$schema": _SARIF, "version": "2.1.0", "runs": [run]}


def _result(each: Located) -> dict[str, Any]:
    place = {
        "artifactLocation": {"uri": PurePath(each.file).as_posix()},
        "region": {"startLine": each.line},
    }
    return {
        "ruleId": each.finding.code,
        "level": each.finding.severity,
        "message": {"text": f"{each.finding.object}: {words(each.finding)}"},
        "locations": [{"physicalLocation": place}],
    }


def _sentence(finding: Finding) -> str:
    return f"{finding.severity} {finding.code} {finding.object}: {words(finding)}"


def words(finding: Finding) -> str:
    """What is so, and what to do next."""
    return f"{finding.evidence}: {finding.fix}" if finding.fix else finding.evidence
