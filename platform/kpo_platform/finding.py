"""What is wrong with a pod: a rule's name for machines, a sentence for people."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kpo_platform.errors import PodError


@dataclass(frozen=True)
class Refusal:
    """One reason why a pod may not run as it is asked for; as text it is one sentence."""

    rule: str
    """The stable name of the rule, such as ``image-pin``: one of `RULES`."""

    evidence: str
    """What is so, and what was expected."""

    fix: str = ""
    """What to do next; empty where the evidence says it already."""

    argument: str = ""
    """The argument that is to be changed, where it is one."""

    def __str__(self) -> str:
        return f"{self.evidence}: {self.fix}" if self.fix else self.evidence

    def to_finding(self, name: str) -> Finding:
        """Convert to a finding about the object of this name, such as a task."""
        rule = RULES[self.rule]
        return Finding(rule.code, "error", name, self.evidence, rule.requirement, self.fix)


@dataclass(frozen=True)
class Rule:
    """What is asked of every pod: a code that stays the same in every version, and the reason in one sentence."""

    code: str
    requirement: str


RULES: dict[str, Rule] = {
    "import": Rule("KPO-DAG001", "A DAG file can be read."),
    "name": Rule("KPO-TEAM001", "Teams, sizes, templates and sidecars are those of the contract."),
    "team": Rule("KPO-TEAM002", "A task runs for the team whose DAG it is in."),
    "argument": Rule("KPO-ARG001", "Arguments are named and typed as the operator takes them."),
    "locked": Rule("KPO-POD001", "Namespace, service account, token and fixed labels are the team's."),
    "label": Rule("KPO-POD002", "Labels that the platform requires are there."),
    "quota": Rule("KPO-POD003", "A pod fits into the team's quota and limits."),
    "form": Rule("KPO-POD004", "Values are written as Kubernetes takes them."),
    "missing": Rule("KPO-POD005", "What a pod refers to, and what its template needs, is there."),
    "image-pin": Rule("KPO-IMG001", "An image names a version."),
    "image-allow": Rule("KPO-IMG002", "An image is on the team's list."),
    "image": Rule("KPO-IMG003", "Every container has an image, by a name that registries know."),
    "security": Rule("KPO-SEC001", "A pod keeps to the team's Pod Security level."),
    "nfs": Rule("KPO-SEC002", "Shared storage is used through a claim."),
    "credential": Rule("KPO-SEC003", "Credentials come from a Secret."),
}
"""Every rule by its name: for documentation and for reports that list rules."""


class RefusalError(PodError):
    """A pod that is refused, with the reasons one by one."""

    def __init__(self, refusals: Iterable[Refusal]) -> None:
        self.refusals = tuple(refusals)
        super().__init__("\n".join(str(refusal) for refusal in self.refusals))


@dataclass(frozen=True)
class Finding:
    """What a check found."""

    code: str
    """Of one of `RULES`."""
    severity: str
    """``error``: Airflow would not run it."""
    object: str
    """What it was found in, such as a task."""
    evidence: str
    """What is so."""
    cause: str
    """What was expected."""
    fix: str
    """What to do next; empty where the evidence says it already."""


def raise_refusals(refusals: Iterable[Refusal]) -> None:
    """Do nothing when there is nothing to refuse.

    Raises:
        RefusalError: with all sentences, one a line.
    """
    found = tuple(refusals)
    if found:
        raise RefusalError(found)
