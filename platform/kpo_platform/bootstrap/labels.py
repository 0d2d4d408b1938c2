"""Labels of the objects that bootstrap manages."""

from __future__ import annotations

from collections.abc import Mapping

from kpo_platform.pod.identity import TEAM_LABEL

MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGER = "platformctl"
SELECTOR = f"{MANAGED_BY}={MANAGER}"
"""The label selector of the objects that bootstrap manages."""


def build_team_labels(team: str) -> dict[str, str]:
    """Build the labels of an object that belongs to one team."""
    return {**build_common_labels(), TEAM_LABEL: team}


def build_common_labels() -> dict[str, str]:
    """Build the labels of an object that belongs to no single team."""
    return {MANAGED_BY: MANAGER, "app.kubernetes.io/part-of": "kpo-platform"}


def is_managed(labels: Mapping[str, str]) -> bool:
    """Whether bootstrap created the object with these labels.

    Bootstrap changes no other objects.
    """
    return labels.get(MANAGED_BY) == MANAGER


def list_label_fields(live: Mapping[str, str], wanted: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """List field name, old value and new value of each wanted label."""
    return [(f"label {key}", live.get(key, ""), value) for key, value in wanted.items()]
