"""The rules of `platformctl doctor`, and the result of one check."""

from __future__ import annotations

from dataclasses import dataclass

from kpo_platform.finding import Finding, Fix, ObjectRef, Rule, Severity

RULES: dict[str, Rule] = {
    "secret": Rule("KPO-REL001", "Every Secret that the release's pods need exists and has its keys."),
    "job": Rule("KPO-REL002", "Every Job of the release completes."),
    "component": Rule("KPO-REL003", "Every component of the release has all its replicas ready."),
    "duplicate": Rule("KPO-REL004", "Every component of the release is one Deployment or one StatefulSet."),
}
"""The rules for an installation by name; the codes are the same in every version."""


@dataclass(frozen=True)
class CheckResult:
    """The result of the check of one object.

    ``verified`` is false if the caller may not read the object, or if a rollout or Job is still in progress.
    """

    code: str
    """The code of the checked rule."""

    object: ObjectRef
    """The checked object."""

    seen: str
    """The observed state."""

    finding: Finding | None = None
    verified: bool = True


def report_pass(rule: str, about: ObjectRef, seen: str) -> CheckResult:
    """Create the result of a passed check; for the arguments see `report_failure`."""
    return CheckResult(RULES[rule].code, about, seen)


def report_incomplete(rule: str, about: ObjectRef, seen: str) -> CheckResult:
    """Create the result of an incomplete check; for the arguments see `report_failure`."""
    return CheckResult(RULES[rule].code, about, seen, verified=False)


def report_failure(rule: str, about: ObjectRef, seen: str, fix: str, severity: Severity = "error") -> CheckResult:
    """Create the result of a failed check.

    Args:
        rule: one of `RULES`.
        about: the object.
        seen: the observed state.
        fix: what to do next.
        severity: ``warning`` if tasks still run.
    """
    code, requirement = RULES[rule].code, RULES[rule].requirement
    return CheckResult(code, about, seen, Finding(code, severity, about, requirement, (seen,), Fix(fix)))
