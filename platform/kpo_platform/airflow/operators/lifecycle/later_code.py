"""Code of the author that runs after the pod's end."""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseOperator

_METHODS = ("execute", "trigger_reentry", "resume_execution")
_KNOWN = ("airflow.", "kpo_platform.")


def has_later_code(operator: Any) -> bool:
    """Tell whether code of the author runs after the pod's end, and may fail the task to get its work done again.

    It is a ``post_execute``, in one of Airflow's two ways, or the method of a subclass around the run of the pod.
    """
    is_overridden = getattr(operator.post_execute, "__func__", None) is not BaseOperator.post_execute
    if is_overridden or getattr(operator, "_post_execute_hook", None) is not None:
        return True
    return not all(str(getattr(operator, name).__module__).startswith(_KNOWN) for name in _METHODS)
