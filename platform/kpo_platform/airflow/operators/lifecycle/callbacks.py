"""Call the author's code during a pod's run."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow.providers.cncf.kubernetes.callbacks import ExecutionMode
from airflow.sdk.exceptions import AirflowException

from kpo_platform.airflow.api_errors import describe_failure

if TYPE_CHECKING:
    from airflow.sdk import Context

EXITS = (SystemExit, CancelledError)
"""What code raises that ends its process or its coroutine; ``except Exception`` does not catch it."""


def call_back(operator: Any, context: Context, name: str, **arguments: Any) -> None:
    """Call a method of the author's callbacks with the stock operator's arguments; exceptions as of `fail_on_exit`."""
    for callback in operator.callbacks:
        arguments |= {"client": operator.client, "mode": ExecutionMode.SYNC, "context": context, "operator": operator}
        with fail_on_exit(name):
            getattr(callback, name)(**arguments)


@contextmanager
def fail_on_exit(name: str) -> Iterator[None]:
    """Run the author's code of this name, whose exit is a failure as any other: the pod's run must not end with it.

    Raises:
        AirflowException: the code has raised one of `EXITS`.
    """
    try:
        yield
    except EXITS as error:
        raise build_exit_error(name, error) from error


def build_exit_error(name: str, error: BaseException) -> AirflowException:
    """Build the error of a task whose author's code of this name has raised no ordinary exception."""
    failure = AirflowException(f"The task's {name} failed: {describe_failure(error)}")
    failure.__cause__ = error
    return failure


def catch(function: Callable[[], None]) -> Exception | None:
    """Call a function, and return its error."""
    try:
        function()
    except Exception as error:
        return error
    return None
