"""Format findings as text, JSON or SARIF."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import PurePath
from typing import Any

from kpo_platform.cli.output import sanitize
from kpo_platform.finding import RULES, Finding, LocatedFinding, Rule

_SARIF = "https://json.schemastore.org/sarif-2.1.0.json"


def format_findings(findings: Iterable[LocatedFinding]) -> list[tuple[str, str | None]]:
    """Format each finding as one line that begins with FILE:LINE, as editors and terminals expect."""
    return [
        (sanitize(f"{located.file}:{located.line}: {_format_finding(located.finding)}"), "red") for located in findings
    ]


def build_json(findings: Iterable[LocatedFinding]) -> dict[str, Any]:
    """Return the findings with all their fields."""
    return {
        "findings": [{"file": located.file, "line": located.line, **asdict(located.finding)} for located in findings]
    }


def build_sarif(findings: Iterable[LocatedFinding]) -> dict[str, Any]:
    """Return a SARIF 2.1.0 log with one run, which lists all rules, with or without findings."""
    return build_sarif_log("platformctl lint", RULES, map(_build_sarif_result, findings))


def build_sarif_log(command: str, rules: Mapping[str, Rule], results: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return a SARIF 2.1.0 log with one run of a command, with all its rules."""
    listed = [
        {"id": rule.code, "name": name, "shortDescription": {"text": rule.requirement}} for name, rule in rules.items()
    ]
    run = {"tool": {"driver": {"name": command, "rules": listed}}, "results": list(results)}
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
    evidence = "; ".join(finding.evidence)
    return f"{evidence}. {finding.fix}" if finding.fix.text else evidence
