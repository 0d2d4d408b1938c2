"""Tell a connection that Airflow does not have from one that it cannot give out at the moment."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from airflow.sdk.exceptions import AirflowNotFoundException, AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import ErrorResponse, GetConnection

from kpo_platform.airflow.triggers.pod_requests import OpenClient


def read_patiently(connection: str | None, open_client: OpenClient) -> OpenClient:
    """Let a failure of Airflow to give out a connection look like a lost connection: an outage, which is waited out.

    Airflow's lookup says "isn't defined" after any error, of its database too. An error of a secrets backend in the API
    server cannot be told from a missing connection.
    """

    @asynccontextmanager
    async def open_patiently() -> AsyncIterator[Any]:
        async with AsyncExitStack() as stack:
            try:
                client = await stack.enter_async_context(open_client())
            except (AirflowNotFoundException, AirflowRuntimeError):
                if connection and await _is_unanswered(connection):
                    raise ConnectionError("Airflow does not give out the connection") from None
                raise
            yield client

    return open_patiently


async def _is_unanswered(connection: str) -> bool:
    """Ask Airflow for a connection, and tell whether it fails to say if it has it."""
    supervisor = getattr(task_runner, "SUPERVISOR_COMMS", None)
    if supervisor is None:  # outside of a triggerer
        return False
    try:
        answer = await supervisor.asend(GetConnection(conn_id=connection))
    except AirflowRuntimeError as error:
        answer = error.error
    except Exception:
        return True
    is_no = isinstance(answer, ErrorResponse)
    return not is_no or answer.error not in (ErrorType.CONNECTION_NOT_FOUND, ErrorType.PERMISSION_DENIED)
