"""What a check says about one object."""

from __future__ import annotations

from dataclasses import dataclass

from kpo_platform.finding import Finding, Rule

RULES: dict[str, Rule] = {
    "secret": Rule("KPO-REL001", "Every secret that the release's pods need is there, with its keys."),
    "job": Rule("KPO-REL002", "Every Job of the release ends well."),
    "component": Rule("KPO-REL003", "Every component of the release is ready, as many as are asked for."),
    "twin": Rule("KPO-REL004", "Every component of the release is one Deployment or one StatefulSet."),
}
"""What is asked of an installation, by a name; the codes stay the same in every version."""


@dataclass(frozen=True)
class Judgement:
    """One object: what was seen of it, and what is wrong with it, if anything is.

    What could not be seen, for want of a right or because it goes on still, is not verified.
    """

    object: str
    """Kind and name, such as ``Secret airflow/airflow-admin``."""

    seen: str
    """What is so."""

    finding: Finding | None = None
    verified: bool = True


def wrong(rule: str, what: str, seen: str, fix: str) -> Judgement:
    """A judgement that something is to be mended.

    Args:
        rule: one of `RULES`.
        what: the object.
        seen: what is so.
        fix: what to do next.
    """
    found = Finding(RULES[rule].code, "error", what, seen, RULES[rule].sentence, fix)
    return Judgement(what, seen, found)
