"""Format findings as text, JSON or SARIF."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import PurePath
from typing import Any

from kpo_platform.cli.output import sanitize
from kpo_platform.finding import RULES, Finding

_SARIF = "https://json.schemastore.org/sarif-2.1.0.json"


@dataclass(frozen=True)
class LocatedFinding:
    """A finding with its file and its line (from 1)."""

    file: str
    line: int
    finding: Finding


def format_findings(findings: Iterable[LocatedFinding]) -> list[tuple[str, str | None]]:
    """Format each finding as one line that begins with FILE:LINE, as editors and terminals expect."""
    return [(sanitize(f"{each.file}:{each.line}: {_format_finding(each.finding)}"), "red") for each in findings]


def build_json(findings: Iterable[LocatedFinding]) -> dict[str, Any]:
    """Return all findings with all their fields."""
    return {"findings": [{"file": each.file, "line": each.line, **asdict(each.finding)} for each in findings]}


def build_sarif(findings: Iterable[LocatedFinding]) -> dict[str, Any]:
    """Return a SARIF 2.1.0 log with one run; it lists every rule, also those without findings."""
    rules = [
        {"id": rule.code, "name": name, "shortDescription": {"text": rule.requirement}} for name, rule in RULES.items()
    ]
    driver = {"name": "platformctl lint", "rules": rules}
    run = {"tool": {"driver": driver}, "results": [_build_sarif_result(each) for each in findings]}
    return {"$schema": _SARIF, "version": "2.1.0", "runs": [run]}


def _build_sarif_result(located: LocatedFinding) -> dict[str, Any]:
    location = {
        "artifactLocation": {"uri": PurePath(located.file).as_posix()},
        "region": {"startLine": located.line},
    }
    return {
        "ruleId": located.finding.code,
        "level": located.finding.severity,
        "message": {"text": f"{located.finding.object}: {format_message(located.finding)}"},
        "locations": [{"physicalLocation": location}],
    }


def _format_finding(finding: Finding) -> str:
    return f"{finding.severity} {finding.code} {finding.object}: {format_message(finding)}"


def format_message(finding: Finding) -> str:
    """Join a finding's evidence and fix."""
    return f"{finding.evidence}. {finding.fix}" if finding.fix else finding.evidence
