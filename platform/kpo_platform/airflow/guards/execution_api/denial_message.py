"""Say in a task's log why the API server refused a connection or a variable.

Airflow's client drops the sentence of the API server for these two (3.3, sdk/api/client.py), and the task fails with
"Access denied … by Execution API". The contract in the task's process says whose it is.
"""

from __future__ import annotations

import contextlib
import functools
import sys
from typing import Any

from kpo_platform.airflow.guards.execution_api.judgement import describe_denial
from kpo_platform.contract import load

_METHOD = "_raise_if_authz_denied"


def explain_denials() -> None:
    """Let the exception of a refused connection or variable begin with its reason, if Airflow has the method."""
    backend = sys.modules["airflow.sdk.execution_time.secrets.execution_api"]
    raise_if_denied = getattr(backend.ExecutionAPISecretsBackend, _METHOD, None)
    if raise_if_denied is None:
        return
    access_denied: type[Exception] = backend.AirflowSecretsBackendAccessDenied

    @functools.wraps(raise_if_denied)
    def raise_with_reason(self: Any, msg: Any, *, resource: str, key: str) -> None:
        try:
            raise_if_denied(self, msg, resource=resource, key=key)
        except access_denied as error:
            reason = None
            with contextlib.suppress(Exception):  # the refusal stands without its reason
                reason = describe_denial(resource, key, load())
            if reason is None:
                raise
            raise access_denied(f"{reason} {error}") from None

    setattr(backend.ExecutionAPISecretsBackend, _METHOD, raise_with_reason)
