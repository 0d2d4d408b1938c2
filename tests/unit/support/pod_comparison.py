"""Compare pods."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any


def without_empty(value: Any) -> Any:
    """The value without the empty lists and dictionaries that the stock operator sprinkles over a pod."""
    if isinstance(value, dict):
        pruned = {key: without_empty(inner) for key, inner in value.items()}
        return {key: inner for key, inner in pruned.items() if inner not in ({}, [])}
    return [without_empty(inner) for inner in value] if isinstance(value, list) else value


def context_of(task: Any) -> Any:
    """Airflow's context of a task's second try, as far as a pod is made of it."""
    ti = SimpleNamespace(dag_id="d", task_id="t", map_index=-1, try_number=2, context_carrier=None)
    return {"task": task, "ti": ti, "run_id": "r", "dag": SimpleNamespace()}
