"""Helpers to compare pods of TeamPodOperator and the stock operator."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any


def remove_empty(value: Any) -> Any:
    """Remove the empty lists and dictionaries that the stock operator adds to a pod."""
    if isinstance(value, dict):
        pruned = {key: remove_empty(inner) for key, inner in value.items()}
        return {key: inner for key, inner in pruned.items() if inner not in ({}, [])}
    return [remove_empty(inner) for inner in value] if isinstance(value, list) else value


def build_context(task: Any) -> Any:
    """Build the part of Airflow's context that a pod needs, for the second try of a task."""
    ti = SimpleNamespace(id="u", dag_id="d", task_id="t", map_index=-1, try_number=2, context_carrier=None)
    return {"task": task, "ti": ti, "run_id": "r", "dag": SimpleNamespace()}
