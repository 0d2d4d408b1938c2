"""Rule: a pod has its team's fixed labels and all labels that the platform requires."""

from __future__ import annotations

from collections.abc import Iterator

from kpo_platform.contract import Team
from kpo_platform.finding import Refusal
from kpo_platform.pod.identity import TEAM_LABEL
from kpo_platform.pod.merge import Json


def check_labels(pod: Json, team_name: str, team: Team, label_policy: dict[str, str]) -> Iterator[Refusal]:
    """Refuse a changed fixed label and a missing required label.

    Args:
        pod: the composed v1 Pod.
        team_name: the team's name, which is the fixed value of `TEAM_LABEL`.
        team: the team of this name.
        label_policy: label key to ``required``, ``fixed`` or ``free``.
    """
    labels = pod["metadata"].get("labels") or {}
    fixed = {key: value for key, value in team.labels.items() if label_policy.get(key) == "fixed"}
    for key, value in {**fixed, TEAM_LABEL: team_name}.items():
        if key not in labels or labels[key] not in (None, value):
            yield Refusal(
                "locked",
                f"The label {key} is {labels.get(key)!r}, but team {team_name!r} has {value!r}",
                "Leave it out, or ask the platform team to change the team's values.",
            )
    for key, kind in label_policy.items():
        if kind == "required" and (key not in labels or labels[key] == ""):
            yield Refusal(
                "label",
                f"The label {key} is missing, but the platform requires it in every pod",
                f"Set it in labels, or ask the platform team to set it for team {team_name!r}.",
            )
