"""Airflow's Execution API with the guard, real tokens and a sqlite database with several teams."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from airflow.api_fastapi.auth.tokens import JWTGenerator
from airflow.api_fastapi.common.dagbag import create_dag_bag
from airflow.api_fastapi.execution_api import app as app_module
from airflow.api_fastapi.execution_api.versions.v2026_04_06 import ModifyDeferredTaskKwargsToJsonValue
from airflow.models import trigger as trigger_module
from airflow.models.taskinstance import TaskInstance
from fastapi.testclient import TestClient
from httpx import Response

from integration.support.isolation_database import connect, create_database
from kpo_platform.airflow.guards.execution_api import request as guarded_request
from kpo_platform.airflow.guards.execution_api.app import guard_execution_api
from unit.support.contracts import CONTRACT, TEAM

ISOLATION: dict[str, Any] = {
    "grants": [{"from": "alpha", "to": "gamma", "do": ["trigger", "xcom", "state", "asset"]}],
}
SECRET = "a secret for tests " * 4
PublishIsolation = Callable[[dict[str, Any]], None]


@dataclass
class ExecutionApi:
    """A client of the application, and the ids of the running tasks of all DAGs."""

    client: TestClient
    generator: JWTGenerator
    tasks: dict[str, UUID]

    def request_as(self, subject: str | UUID, method: str, path: str, **arguments: Any) -> Response:
        """Send a request with the token of a task, which has the name of its DAG or an id of its own."""
        task_id = self.tasks.get(str(subject), subject)
        token = self.generator.generate({"sub": str(task_id), "scope": "execution"})
        headers = {"Authorization": f"Bearer {token}", **arguments.pop("headers", {})}
        return self.client.request(method, path, headers=headers, **arguments)


_CONVERSION: Any = ModifyDeferredTaskKwargsToJsonValue.convert_next_kwargs_to_base_serialization
_REPLACED: tuple[tuple[Any, str], ...] = (
    (app_module, "create_task_execution_api_app"),
    (TaskInstance, "register_asset_changes_in_db"),
    (trigger_module, "_decode_next_kwargs"),
    (_CONVERSION, "transformer"),
)
"""The functions of Airflow that the guard replaces."""


def read_functions() -> list[Any]:
    """Return what is now in the places of the functions that the guard replaces."""
    return [vars(owner)[name] for owner, name in _REPLACED]


def set_functions(functions: list[Any]) -> None:
    """Put back what `read_functions` returned."""
    for (owner, name), function in zip(_REPLACED, functions, strict=True):
        setattr(owner, name, function)


@contextmanager
def kept_airflow() -> Iterator[None]:
    """Put back the functions of Airflow that the guard replaces."""
    kept = read_functions()
    try:
        yield
    finally:
        set_functions(kept)


@dataclass
class SharedApi:
    """The application, which takes seconds to start, and what a test needs to use it alone.

    Attributes:
        api: a client of the application.
        folder: contains ``contract.json`` and ``template.db``, which tests copy.
        functions: the functions of the guard that replace those of Airflow.
    """

    api: ExecutionApi
    folder: Path
    functions: list[Any]

    @property
    def contract(self) -> Path:
        return self.folder / "contract.json"


@pytest.fixture(scope="session")
def shared_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedApi]:
    """The only application of this process; outside its tests, the process is as before."""
    folder = tmp_path_factory.mktemp("execution_api")
    with ExitStack() as stack:
        with kept_airflow(), pytest.MonkeyPatch.context() as patch:
            patch.setenv("AIRFLOW__API_AUTH__JWT_SECRET", SECRET)
            patch.setenv("KPO_PLATFORM_CONTRACT", str(folder / "contract.json"))
            publish_contract(folder / "contract.json", ISOLATION)
            tasks = create_database(folder / "template.db")
            guard_execution_api()
            app = app_module.create_task_execution_api_app()
            app.state.dag_bag = create_dag_bag()
            client = stack.enter_context(TestClient(app, raise_server_exceptions=False))
            client.get("/health")  # Cadwyn creates the API versions at the first request
            shared = SharedApi(ExecutionApi(client, app_module._jwt_generator(), tasks), folder, read_functions())
        yield shared


@pytest.fixture
def execution_api(shared_api: SharedApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ExecutionApi]:
    """The application with the guard and a fresh copy of the database."""
    monkeypatch.setenv("AIRFLOW__API_AUTH__JWT_SECRET", SECRET)
    monkeypatch.setenv("KPO_PLATFORM_CONTRACT", str(shared_api.contract))
    shutil.copy(shared_api.folder / "template.db", tmp_path / "airflow.db")
    connect(tmp_path / "airflow.db")
    for cache in (guarded_request._tasks, guarded_request._dags, guarded_request._assets):
        cache._results.clear()
    with kept_airflow():
        set_functions(shared_api.functions)
        yield shared_api.api


@pytest.fixture
def publish_isolation(shared_api: SharedApi) -> Iterator[PublishIsolation]:
    """Publish other values of isolation for one test."""
    yield lambda isolation: publish_contract(shared_api.contract, isolation)
    publish_contract(shared_api.contract, ISOLATION)


def publish_contract(file: Path, isolation: dict[str, Any]) -> None:
    """Write a contract with teams alpha, beta and gamma, which share the connection k8s_default."""
    content = {**CONTRACT, "isolation": isolation, "teams": dict.fromkeys(("alpha", "beta", "gamma"), TEAM)}
    file.unlink(missing_ok=True)  # the stamp of a file that is written twice within a tick may not change
    file.write_text(json.dumps(content))
