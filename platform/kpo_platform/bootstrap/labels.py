"""The labels of what bootstrap makes, and whose an object is."""

from __future__ import annotations

from collections.abc import Mapping

from kpo_platform.pod.identity import TEAM_LABEL

MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGER = "platformctl"
SELECTOR = f"{MANAGED_BY}={MANAGER}"
"""The label by which bootstrap knows what it made."""


def build_team_labels(team: str) -> dict[str, str]:
    """The labels of an object that bootstrap makes for a team."""
    return {**build_common_labels(), TEAM_LABEL: team}


def build_common_labels() -> dict[str, str]:
    """The labels of an object that bootstrap makes for no team alone."""
    return {MANAGED_BY: MANAGER, "app.kubernetes.io/part-of": "kpo-platform"}


def is_managed(live: Mapping[str, str]) -> bool:
    """Whether an object with these labels was made by bootstrap; what was not is never written."""
    return live.get(MANAGED_BY) == MANAGER


def list_label_changes(live: Mapping[str, str], wanted: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Field, old value and new value of each wanted label."""
    return [(f"label {key}", live.get(key, ""), value) for key, value in wanted.items()]
