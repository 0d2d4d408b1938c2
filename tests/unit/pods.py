"""Compare pods."""

from __future__ import annotations

from typing import Any


def without_empty(value: Any) -> Any:
    """The value without the empty lists and dictionaries that the stock operator sprinkles over a pod."""
    if isinstance(value, dict):
        pruned = {key: without_empty(inner) for key, inner in value.items()}
        return {key: inner for key, inner in pruned.items() if inner not in ({}, [])}
    return [without_empty(inner) for inner in value] if isinstance(value, list) else value
