"""The guard of the Execution API at the start of processes: the API server ends without it, others continue."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import airflow
import pytest
from airflow.api_fastapi.execution_api import app as app_module

from integration.support.execution_api import kept_airflow
from kpo_platform.airflow.guards import contract_file
from kpo_platform.airflow.guards.execution_api.app import GuardError, check_guard, guard_execution_api
from unit.support.contracts import CONTRACT

Publish = Callable[[dict[str, Any]], None]

SERVE = """
from airflow.api_fastapi.main import app
from kpo_platform.airflow.guards import contract_file
from kpo_platform.airflow.guards.execution_api.app import check_guard
check_guard(next(route.app for route in app.routes if getattr(route, "path", None) == "/execution"))
"""
UNKNOWN_AIRFLOW = (
    "The guard of the Execution API cannot start: Airflow 3.4.0 is installed, but the guard supports 3.3. Upgrade the "
    "package kpo-platform to a version for this Airflow, or set isolation.enabled to false."
)


@pytest.fixture
def publish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Publish:
    """Publish a contract in a process that has read none."""
    monkeypatch.setattr(contract_file, "_last", None)
    monkeypatch.setenv("KPO_PLATFORM_CONTRACT", str(tmp_path / "contract.json"))
    return lambda contract: (tmp_path / "contract.json").write_text(json.dumps(contract)) and None


@pytest.fixture
def guarded_module(publish: Publish) -> Iterator[Any]:
    """Airflow's module with the guarded factory, in a process with a valid contract."""
    publish(CONTRACT)
    with kept_airflow():
        guard_execution_api()
        yield app_module


@pytest.mark.parametrize("apps", ["all", "execution"])
def test_api_server_has_the_guard(publish: Publish, tmp_path: Path, apps: str):
    publish(CONTRACT)
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW_API_APPS": apps,
        "AIRFLOW__API_AUTH__JWT_SECRET": "a secret for tests",
        "AIRFLOW__CORE__AUTH_MANAGER": "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
    }
    result = subprocess.run([sys.executable, "-c", SERVE], env=environment, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr


def test_api_server_ends_with_an_unknown_airflow(guarded_module: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(airflow, "__version__", "3.4.0")
    with pytest.raises(SystemExit) as end:
        guarded_module.create_task_execution_api_app()
    assert end.value.code == UNKNOWN_AIRFLOW


def test_api_server_ends_without_the_factory(guarded_module: Any, monkeypatch: pytest.MonkeyPatch):
    """Other processes that import the module continue."""
    monkeypatch.delattr(guarded_module, "create_task_execution_api_app")
    guard_execution_api()
    monkeypatch.setitem(sys.modules, "airflow.api_fastapi.main", guarded_module)
    with pytest.raises(SystemExit) as end:
        guard_execution_api()
    assert end.value.code == (
        "The guard of the Execution API cannot start: Airflow has no create_task_execution_api_app. Upgrade the "
        "package kpo-platform to a version for this Airflow, or set isolation.enabled to false."
    )


def test_failed_worker_ends_the_api_server_of_several_workers(
    guarded_module: Any, publish: Publish, monkeypatch: pytest.MonkeyPatch
):
    """The parent process would restart failed workers endlessly."""
    monkeypatch.setattr(contract_file, "_last", None)
    publish({"version": 99})
    with subprocess.Popen(["sleep", "60"]) as parent:
        monkeypatch.setattr(multiprocessing, "parent_process", lambda: parent)
        monkeypatch.setattr(sys, "argv", ["airflow", "api-server"])
        with pytest.raises(SystemExit):
            guarded_module.create_task_execution_api_app()
        assert parent.wait(timeout=10) == -signal.SIGTERM


def test_api_server_without_isolation_starts_with_an_unknown_airflow(
    guarded_module: Any, publish: Publish, monkeypatch: pytest.MonkeyPatch
):
    publish({**CONTRACT, "isolation": {"enabled": False}})
    monkeypatch.setattr(airflow, "__version__", "3.4.0")
    assert guarded_module.create_task_execution_api_app().title == "Airflow Task Execution API"


def test_api_server_ends_with_an_unreadable_contract(
    guarded_module: Any, publish: Publish, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(contract_file, "_last", None)
    publish({"version": 99})
    with pytest.raises(SystemExit, match="The guard of the Execution API cannot start: The contract has version 99"):
        guarded_module.create_task_execution_api_app()


def test_dag_processor_continues_without_the_guard(guarded_module: Any, publish: Publish):
    publish({"version": 99})
    assert guarded_module.InProcessExecutionAPI().app.title == "Airflow Task Execution API"


def test_application_without_the_guard_on_its_routes_is_refused(guarded_module: Any):
    app = guarded_module.create_task_execution_api_app()
    check_guard(app)
    app._latest_version_router.routes.clear()
    with pytest.raises(GuardError) as refusal:
        check_guard(app)
    assert str(refusal.value) == (
        "it is not on the routes of Airflow. Install the versions of Airflow and FastAPI that Airflow's constraints "
        "name."
    )
