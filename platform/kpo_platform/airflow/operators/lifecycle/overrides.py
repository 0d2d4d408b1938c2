"""Find the code of an author that runs around the run of a pod."""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseOperator

_REENTRY_METHODS = ("trigger_reentry", "resume_execution")
_RUN_METHODS = ("execute", *_REENTRY_METHODS)
_KNOWN_MODULES = ("airflow.", "kpo_platform.")


def has_later_code(operator: Any) -> bool:
    """Tell whether code of the author runs after the pod's end, and may fail the task to get its work done again.

    It is a ``post_execute``, in one of Airflow's two ways, or the method of a subclass around the run of the pod.
    """
    is_overridden = getattr(operator.post_execute, "__func__", None) is not BaseOperator.post_execute
    if is_overridden or getattr(operator, "_post_execute_hook", None) is not None:
        return True
    return any(_is_own(operator, name) for name in _RUN_METHODS)


def has_reentry_code(operator: Any) -> bool:
    """Tell whether the author's subclass has code that runs only if the task is deferred."""
    return any(_is_own(operator, name) for name in _REENTRY_METHODS)


def _is_own(operator: Any, name: str) -> bool:
    return not str(getattr(operator, name).__module__).startswith(_KNOWN_MODULES)
