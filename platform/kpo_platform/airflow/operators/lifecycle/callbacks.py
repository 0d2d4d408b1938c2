"""Call the author's code during a pod's run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from airflow.providers.cncf.kubernetes.callbacks import ExecutionMode

if TYPE_CHECKING:
    from airflow.sdk import Context


def call_back(operator: Any, context: Context, name: str, **arguments: Any) -> None:
    """Call a method of the author's callbacks with the stock operator's arguments."""
    for callback in operator.callbacks:
        arguments |= {"client": operator.client, "mode": ExecutionMode.SYNC, "context": context, "operator": operator}
        getattr(callback, name)(**arguments)


def catch(function: Callable[[], None]) -> Exception | None:
    """Call a function, and return its error."""
    try:
        function()
    except Exception as error:
        return error
    return None
