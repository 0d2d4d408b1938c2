"""airflow.guards.execution_api.denial_message: the reason of a refused connection or variable, in the task's log."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from airflow.sdk.exceptions import AirflowSecretsBackendAccessDenied, ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse
from airflow.sdk.execution_time.secrets.execution_api import ExecutionAPISecretsBackend

from kpo_platform.airflow.guards.execution_api.denial_message import explain_denials
from unit.support.published_contract import Publish

DENIED = ErrorResponse(error=ErrorType.PERMISSION_DENIED)
STOCK = "by Execution API; refusing to fall back to a less-restrictive secrets backend."


@pytest.fixture
def backend() -> Iterator[ExecutionAPISecretsBackend]:
    """Airflow's backend of a task, with reasons."""
    method = ExecutionAPISecretsBackend._raise_if_authz_denied
    explain_denials()
    yield ExecutionAPISecretsBackend()
    ExecutionAPISecretsBackend._raise_if_authz_denied = method


def deny(backend: ExecutionAPISecretsBackend, key: str) -> str:
    with pytest.raises(AirflowSecretsBackendAccessDenied) as denial:
        backend._raise_if_authz_denied(DENIED, resource="variable", key=key)
    return str(denial.value)


def test_denial_begins_with_its_reason(backend: ExecutionAPISecretsBackend, publish: Publish):
    publish(beta={})
    assert deny(backend, "beta_key") == (
        "Variable 'beta_key' is refused: it belongs to team 'beta'. List it in isolation.shared.variables. "
        f"Access denied for variable 'beta_key' {STOCK}"
    )


def test_denial_without_a_known_reason_is_that_of_airflow(
    backend: ExecutionAPISecretsBackend, publish: Publish, monkeypatch: pytest.MonkeyPatch
):
    publish()
    assert deny(backend, "key") == f"Access denied for variable 'key' {STOCK}"
    monkeypatch.setenv("KPO_PLATFORM_CONTRACT", "/missing")
    assert deny(backend, "alpha_key") == f"Access denied for variable 'alpha_key' {STOCK}"


def test_other_answers_raise_nothing(backend: ExecutionAPISecretsBackend):
    for answer in (ErrorResponse(error=ErrorType.VARIABLE_NOT_FOUND), "a value"):
        backend._raise_if_authz_denied(answer, resource="variable", key="key")
