"""A client of the Execution API with the token of the running task, as any task can get it by itself."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime

import httpx
from airflow.sdk import conf, get_current_context
from airflow.sdk.api.client import get_hostname, getuser


def find_first_token() -> str:
    """Return the token with which the executor started the task.

    The task's process is a fork of its supervisor (Airflow 3.3, sdk/execution_time/supervisor.py), so its frames hold
    the token.
    """
    frame = sys._getframe()
    while True:
        token = frame.f_locals.get("token")
        if isinstance(token, str) and token.count(".") == 2:
            return token
        if frame.f_back is None:
            raise RuntimeError("no frame has a token")
        frame = frame.f_back


def open_client() -> httpx.Client:
    """Return a client with a token of the running task.

    The API server exchanges the first token for it, because the request repeats host, user and process of the task
    (Airflow 3.3, api_fastapi/execution_api/routes/task_instances.py).
    """
    client = httpx.Client(base_url=conf.get("core", "execution_api_server_url"), timeout=30)
    client.headers["Authorization"] = f"Bearer {find_first_token()}"
    body = {
        "state": "running",
        "pid": os.getpid(),
        "hostname": get_hostname(),
        "unixname": getuser(),
        "start_date": datetime.now(UTC).isoformat(),
    }
    response = client.patch(f"/task-instances/{get_current_context()['ti'].id}/run", json=body)
    if token := response.headers.get("Refreshed-API-Token"):
        client.headers["Authorization"] = f"Bearer {token}"
    return client
