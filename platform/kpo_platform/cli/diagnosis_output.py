"""Format diagnoses of pods as text, JSON, SARIF or JUnit."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from xml.etree import ElementTree

from kpo_platform.cli.findings_output import build_sarif_log
from kpo_platform.cli.output import sanitize
from kpo_platform.diagnosis.cause import Cause
from kpo_platform.diagnosis.diagnose import Diagnosis
from kpo_platform.diagnosis.registry import CAUSES
from kpo_platform.kube import Object

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class PodDiagnosis:
    """A pod, and what was found."""

    pod: Object
    diagnosis: Diagnosis

    @property
    def name(self) -> str:
        """Namespace and name."""
        metadata = self.pod["metadata"]
        return f"{metadata.get('namespace', '')}/{metadata.get('name') or metadata.get('generateName', '')}"

    @property
    def is_pending(self) -> bool:
        """Whether the pod has neither started nor ended."""
        return self._phase == "Pending"

    @property
    def _phase(self) -> str:
        return str(self.pod.get("status", {}).get("phase", ""))

    def __str__(self) -> str:
        return f"Pod {self.name} ({self._phase})" if self._phase else f"Pod {self.name}"


def format_diagnoses(found: Sequence[PodDiagnosis], *, hides_healthy: bool = False) -> Iterator[tuple[str, str | None]]:
    """Format diagnoses as lines, each with its colour.

    Args:
        found: the diagnoses.
        hides_healthy: whether pods without a finding have no line.
    """
    for each in found:
        if each.diagnosis.causes or not hides_healthy:
            yield from _format_causes(each)
    unread: dict[str, list[PodDiagnosis]] = {}
    for each in found:
        for text in each.diagnosis.could_not_look:
            unread.setdefault(text, []).append(each)
    for text, pods in unread.items():
        about = str(pods[0]) if len(pods) == 1 else f"{len(pods)} pods"
        yield sanitize(f"? {about}: could not look at {text}"), "yellow"


def _format_causes(found: PodDiagnosis) -> Iterator[tuple[str, str | None]]:
    causes, unread = found.diagnosis.causes, found.diagnosis.could_not_look
    if not causes:
        yield sanitize(f"{'?' if unread else '✔'} {found}: no problem found"), "yellow" if unread else None
    for cause in causes:
        finding = cause.finding
        yield sanitize(f"✗ {found}: {finding.cause}"), "red"
        for text in finding.evidence:
            yield f"    seen  {sanitize(text)}", None
        yield f"    fix   {sanitize(str(finding.fix))}", None
        for line in finding.fix.commands:
            yield f"    $     {sanitize(line)}", None
        yield f"    code  {finding.code}: docs/troubleshooting.md#{finding.code.lower()}", None


def build_json(found: Sequence[PodDiagnosis]) -> dict[str, Any]:
    """Return all findings, and what could not be looked at; docs/diagnosis.schema.json has its schema."""
    findings = [_build_finding(each, cause) for each in found for cause in each.diagnosis.causes]
    unread = [{"pod": each.name, "what": text} for each in found for text in each.diagnosis.could_not_look]
    return {"findings": findings, "could_not_look": unread}


def build_sarif(found: Sequence[PodDiagnosis]) -> dict[str, Any]:
    """Return a SARIF 2.1.0 log with one run, whose results are about objects of a cluster instead of files."""
    results = (_build_result(each, cause) for each in found for cause in each.diagnosis.causes)
    return build_sarif_log("platformctl diagnose", CAUSES, results)


def build_junit(found: Sequence[PodDiagnosis]) -> str:
    """Return a JUnit report with a test case for each pod."""
    failed = sum(bool(each.diagnosis.causes) for each in found)
    suite = ElementTree.Element("testsuite", name="platformctl diagnose", tests=str(len(found)), failures=str(failed))
    for each in found:
        case = ElementTree.SubElement(suite, "testcase", classname="pod", name=_to_xml(each.name))
        for cause in each.diagnosis.causes:
            failure = ElementTree.SubElement(case, "failure", type=cause.finding.code, message=_to_xml(str(cause)))
            failure.text = _to_xml("\n".join(cause.finding.evidence))
        if each.diagnosis.could_not_look and not each.diagnosis.causes:
            message = "; ".join(each.diagnosis.could_not_look)
            ElementTree.SubElement(case, "skipped", message=_to_xml(f"could not look at {message}"))
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True)


def _build_finding(found: PodDiagnosis, cause: Cause) -> dict[str, Any]:
    finding = asdict(cause.finding)
    if finding["fix"]["patch"] is None:
        del finding["fix"]["patch"]
    return {"pod": found.name, **finding, "outlook": cause.outlook}


def _build_result(found: PodDiagnosis, cause: Cause) -> dict[str, Any]:
    about = cause.finding.object
    location = {"name": about.name, "fullyQualifiedName": str(about), "kind": about.kind}
    return {
        "ruleId": cause.finding.code,
        "level": cause.finding.severity,
        "message": {"text": f"Pod {found.name}: {cause}"},
        "locations": [{"logicalLocations": [location]}],
    }


def _to_xml(text: str) -> str:
    """Remove the characters that XML cannot contain."""
    return _NOT_XML.sub("", text)
