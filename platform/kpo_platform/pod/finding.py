"""What is wrong with a pod: a rule's name for machines, a sentence for people."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kpo_platform.errors import PodError


@dataclass(frozen=True)
class Refusal:
    """One reason why a pod may not run as it is asked for; as text it is its sentence."""

    rule: str
    """The stable name of the rule, such as ``image-pin``: one of `RULES`."""

    sentence: str
    """What is so, what was expected, what to do next."""

    def __str__(self) -> str:
        return self.sentence


RULES: dict[str, str] = {
    "team": "A task runs for the team whose DAG it is in.",
    "argument": "Arguments are named and typed as the operator takes them.",
    "locked": "Namespace, service account, token and fixed labels are the team's.",
    "label": "Labels that the platform requires are there.",
    "image-pin": "An image names a version.",
    "image-allow": "An image is on the team's list.",
    "quota": "A pod fits into the team's quota and limits.",
    "security": "A pod keeps to the team's Pod Security level.",
    "nfs": "Shared storage is used through a claim.",
    "credential": "Credentials come from a Secret.",
}
"""Every rule by its name, in one sentence: for documentation and for reports that list rules."""


def refuse(refusals: Iterable[Refusal]) -> None:
    """Do nothing when there is nothing to refuse.

    Raises:
        PodError: with all sentences, one a line.
    """
    sentences = [refusal.sentence for refusal in refusals]
    if sentences:
        raise PodError("\n".join(sentences))
