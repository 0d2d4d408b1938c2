"""A found cause: the finding, and what it means for a pod that has not started."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kpo_platform.diagnosis.signals import Signal
from kpo_platform.finding import Finding, Fix, ObjectRef, Rule, Severity
from kpo_platform.pod.cluster_text import sanitize

Outlook = Literal["final", "grace", "waits"]
"""Whether a pod can still start.

``final``: it has failed, or can never start; ``grace``: it can if someone acts, which may be under way, as an operator
that writes a Secret; ``waits``: it may without help, as when a node is added or a registry answers again.
"""

LONGEST_SENTENCE = 2000
"""Characters of a cause with its fix: a message of Kubernetes may be half as long."""

PLATFORM_TEAM = "the platform team"
"""Who acts where the fix lies outside of the task."""

_OUTLOOKS: tuple[Outlook, ...] = ("final", "grace", "waits")
_SHORTEST_CAUSE = 300
_PLAIN_REASONS = frozenset({"Completed", "Error", "Failed", "Killing", "Pending"})
"""Reasons that add nothing to a sentence."""


@dataclass(frozen=True)
class Cause:
    """A cause for which a pod does not run, or has failed.

    Attributes:
        finding: code, object, evidence and fix.
        outlook: whether the pod can still start.
        reason: Kubernetes' word for it, such as ``ErrImagePull``; may be empty.
        is_vague: whether it only repeats what Kubernetes says, or is an effect that another cause may explain.
    """

    finding: Finding
    outlook: Outlook
    reason: str = ""
    is_vague: bool = False

    @property
    def rank(self) -> tuple[bool, bool, int]:
        """The order among several causes: what explains most comes first, and warnings come last."""
        return self.finding.severity == "warning", self.is_vague, _OUTLOOKS.index(self.outlook)

    @property
    def reference(self) -> str:
        """The code, and where the documentation explains it."""
        code = self.finding.code
        return f"[{code}: docs/troubleshooting.md#{code.lower()}]"

    def __str__(self) -> str:
        """Cause, evidence and fix in one line, as the first line of a task's error."""
        finding = self.finding
        is_told = not self.reason or self.reason in _PLAIN_REASONS or self.reason in finding.cause
        reason = "" if is_told else f" ({self.reason})"
        commands = f" {' && '.join(finding.fix.commands)}" if finding.fix.commands else ""
        advice = f". {finding.fix}{commands}"
        longest = LONGEST_SENTENCE - len(self.reference) - 2
        # A long message is cut, not the command after it: half a command does something else.
        cause = sanitize(f"{finding.cause}{reason}", max(longest - len(advice) - 1, _SHORTEST_CAUSE))
        return f"{sanitize(f'{cause}{advice}', longest)} {self.reference}"


def build_cause(
    rule: Rule,
    about: ObjectRef,
    text: str,
    signal: Signal,
    fix: Fix,
    outlook: Outlook = "final",
    *,
    evidence: tuple[str, ...] = (),
    is_vague: bool = False,
    severity: Severity = "error",
) -> Cause:
    """Build a cause from the signal that shows it.

    Args:
        rule: what is violated.
        about: the object that has to change, such as the Secret that does not exist.
        text: the cause as a sentence without its full stop.
        signal: what Kubernetes says.
        fix: what to do.
        outlook: whether the pod can still start.
        evidence: what else was observed.
        is_vague: as of `Cause`.
        severity: ``warning`` if the program is not affected.
    """
    finding = Finding(rule.code, severity, about, text, (signal.evidence, *evidence), fix)
    return Cause(finding, outlook, signal.reason, is_vague)
