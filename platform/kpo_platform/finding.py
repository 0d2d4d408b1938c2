"""Refusals, rules and findings of lint, the operator, render, doctor and diagnosis."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from kpo_platform.errors import PodError

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class ObjectRef:
    """The object of a finding, such as a task of a DAG file or an object of the cluster."""

    kind: str
    """Its kind, such as ``task`` or ``Secret``."""
    name: str
    namespace: str = ""
    """The namespace of an object of the cluster; empty if its kind has none."""

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


@dataclass(frozen=True)
class Fix:
    """What to do about a finding."""

    text: str = ""
    """One or more sentences; empty if the evidence says it."""
    commands: tuple[str, ...] = ()
    """Commands that do it."""
    patch: dict[str, Any] | None = None
    """A strategic merge patch of the pod that does it."""
    who: str = ""
    """Who must act, if it is not the author of the task, such as ``the platform team``."""

    def __str__(self) -> str:
        """The text, and for whom it is if that is not the author of the task."""
        is_told = not self.text or self.who in self.text
        return self.text if is_told else f"For {self.who}: {self.text}"


@dataclass(frozen=True)
class Finding:
    """A problem that a check found."""

    code: str
    """The code of the violated rule."""
    severity: Severity
    """``error``: the object cannot work; ``warning``: the object failed, but tasks still run."""
    object: ObjectRef
    """The checked object."""
    cause: str
    """The violated requirement, or the cause of a failure."""
    evidence: tuple[str, ...]
    """What was observed, one or more texts, verbatim."""
    fix: Fix = Fix()
    """What to do next."""

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Finding:
        """Restore a finding from the dictionary that `dataclasses.asdict` gives."""
        fix = Fix(**{**fields["fix"], "commands": tuple(fields["fix"]["commands"])})
        restored = {"object": ObjectRef(**fields["object"]), "evidence": tuple(fields["evidence"]), "fix": fix}
        return cls(**{**fields, **restored})


@dataclass(frozen=True)
class Refusal:
    """One reason why a pod or a task is refused; `str()` gives its message."""

    rule: str
    """The name of the violated rule, such as ``image-pin``; a key of `RULES`."""

    evidence: str
    """The observed problem and the expected state."""

    fix: str = ""
    """What to do next; empty if the evidence says it."""

    argument: str = ""
    """The operator argument to change; empty if it is not a single one."""

    def __str__(self) -> str:
        return f"{self.evidence}. {self.fix}" if self.fix else self.evidence

    def to_finding(self, about: ObjectRef) -> Finding:
        """Convert to a finding about an object, such as a task."""
        rule = RULES[self.rule]
        return Finding(rule.code, "error", about, rule.requirement, (self.evidence,), Fix(self.fix))


@dataclass(frozen=True)
class Rule:
    """A requirement on pods, tasks or an installation."""

    code: str
    """The identifier of the rule, such as ``KPO-IMG001``; it never changes."""

    requirement: str
    """The requirement as one sentence."""


RULES: dict[str, Rule] = {
    "import": Rule("KPO-DAG001", "Airflow can load the DAG file."),
    "name": Rule("KPO-TEAM001", "The contract has the team, size, template and sidecars of the task."),
    "team": Rule("KPO-TEAM002", "A task runs for the team that owns its DAG file."),
    "argument": Rule("KPO-ARG001", "The operator accepts the name and the type of every argument."),
    "locked": Rule("KPO-POD001", "Namespace, service account, token mount and fixed labels are those of the team."),
    "label": Rule("KPO-POD002", "A pod has every label that the platform requires."),
    "quota": Rule("KPO-POD003", "A pod fits the team's quota and limits."),
    "form": Rule("KPO-POD004", "Kubernetes accepts the syntax of every value."),
    "missing": Rule("KPO-POD005", "A pod has the volumes that it mounts and the values that its template needs."),
    "result": Rule("KPO-POD006", "The result of a task can reach Airflow."),
    "image-pin": Rule("KPO-IMG001", "An image has a fixed tag or digest, as the team's images.pin requires."),
    "image-allow": Rule("KPO-IMG002", "An image matches a pattern in the team's images.allow."),
    "image": Rule("KPO-IMG003", "Every container has an image with a valid name."),
    "security": Rule("KPO-SEC001", "A pod meets the team's Pod Security level."),
    "nfs": Rule("KPO-SEC002", "NFS storage is mounted through a PersistentVolumeClaim."),
    "credential": Rule("KPO-SEC003", "Credentials come from a Secret."),
    "trigger": Rule("KPO-TRG001", "The triggerer runs every trigger with which a task defers."),
}
"""The rules for DAG files by name."""


class RefusalError(PodError):
    """A pod or a task is refused; the message has one line for each refusal."""

    def __init__(self, refusals: Iterable[Refusal]) -> None:
        self.refusals = tuple(refusals)
        super().__init__("\n".join(str(refusal) for refusal in self.refusals))


@dataclass(frozen=True)
class LocatedFinding:
    """A finding in a DAG file."""

    file: str
    line: int
    """The line, counted from 1."""
    finding: Finding


def raise_refusals(refusals: Iterable[Refusal]) -> None:
    """Raise an error if there are refusals.

    Raises:
        RefusalError: there is at least one refusal.
    """
    all_refusals = tuple(refusals)
    if all_refusals:
        raise RefusalError(all_refusals)
