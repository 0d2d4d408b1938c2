"""airflow.guards.triggers.runner: the guard in Airflow's module, and the start of a triggerer."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow import __version__
from airflow.api_fastapi.core_api.datamodels.trigger import TriggerResponse
from airflow.jobs import triggerer_job_runner
from airflow.models.trigger import Trigger

from kpo_platform.airflow.guards import contract_file
from kpo_platform.airflow.guards.triggers import runner
from kpo_platform.airflow.guards.triggers.runner import find_problem, guard_triggerer
from kpo_platform.airflow.guards.triggers.stored_arguments import guard_decryption
from unit.support.airflow_database import AirflowDatabase
from unit.support.contracts import CONTRACT, write_contract

FIX = "Use an Airflow version that kpo-platform supports, or set isolation.enabled to false to run every trigger."


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Replace Airflow's module by one with classes of its own, whose triggerer needs no job."""
    copies: dict[str, Any] = {
        name: type(name, (getattr(triggerer_job_runner, name),), {})
        for name in ("TriggerRunnerSupervisor", "TriggerRunner", "TriggererJobRunner")
    }
    copies["Trigger"] = type("Trigger", (), {"_decrypt_kwargs": staticmethod(Trigger._decrypt_kwargs)})
    copies["TriggererJobRunner"].__init__ = lambda self: None
    copy = SimpleNamespace(**copies, workloads=triggerer_job_runner.workloads)
    monkeypatch.setattr("airflow.jobs.triggerer_job_runner", copy)
    monkeypatch.setattr(contract_file, "_last", None)
    return copy


@pytest.fixture
def contract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "contract.json"
    write_contract(file, CONTRACT)
    monkeypatch.setenv("KPO_PLATFORM_CONTRACT", str(file))
    return file


def test_installed_airflow_has_all_that_the_guard_needs(module: Any, contract: Path):
    assert find_problem(triggerer_job_runner) is None
    assert __version__.startswith(f"{runner._AIRFLOW}.")
    guard_triggerer()
    module.TriggererJobRunner()


@pytest.mark.parametrize(
    ("version", "warnings"),
    [
        (__version__, []),
        ("3.4.0b2", ["kpo-platform judges triggers of Airflow 3.4.0b2, but is made for 3.3."]),
    ],
)
def test_newer_airflow_with_the_same_methods_is_guarded_with_a_warning(
    module: Any,
    contract: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    version: str,
    warnings: list[str],
):
    monkeypatch.setattr(runner, "__version__", version)
    guard_triggerer()
    module.TriggererJobRunner()
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == warnings


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda module: delattr(module, "TriggerRunner"), "it has no TriggerRunner.create_triggers"),
        (
            lambda module: setattr(module.TriggerRunnerSupervisor, "_create_workload", lambda self, trigger: None),
            "TriggerRunnerSupervisor._create_workload has no parameter session",
        ),
        (lambda module: setattr(module, "workloads", None), "RunTrigger has no field classpath"),
    ],
)
def test_other_airflow_ends_the_triggerer_but_not_the_import(module: Any, contract: Path, change: Any, problem: str):
    change(module)
    guard_triggerer()
    cause = f"kpo-platform cannot judge the triggers of Airflow {__version__} ({problem})"
    with pytest.raises(SystemExit) as ended:
        module.TriggererJobRunner()
    assert ended.value.code == f"The triggerer cannot start: {cause}. {FIX}"
    write_contract(contract, {**CONTRACT, "isolation": {"enabled": False}})
    module.TriggererJobRunner()


def test_unknown_module_ends_only_a_triggerer(module: Any, contract: Path, monkeypatch: pytest.MonkeyPatch):
    del module.TriggererJobRunner
    monkeypatch.setattr("sys.argv", ["airflow", "api-server"])
    guard_triggerer()
    monkeypatch.setattr("sys.argv", ["airflow", "triggerer"])
    with pytest.raises(SystemExit, match=r"\(it has no TriggererJobRunner.__init__\)"):
        guard_triggerer()


def test_unreadable_contract_ends_the_triggerer(module: Any, contract: Path):
    contract.write_text("{")
    guard_triggerer()
    with pytest.raises(SystemExit, match=r"^The triggerer cannot start: Cannot read the contract: "):
        module.TriggererJobRunner()


def test_ui_shows_a_task_whose_arguments_cannot_be_read(
    contract: Path, airflow_database: AirflowDatabase, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(Trigger, "_decrypt_kwargs", staticmethod(Trigger._decrypt_kwargs))  # restored after the test
    guard_decryption(Trigger)
    hidden = {"x": {"__classname__": "airflow.sdk.definitions.asset.Asset", "__version__": 1, "__data__": {}}}
    invalid = {"x": {"__classname__": "uuid.UUID", "__version__": 1, "__data__": "zz"}}
    unhashable = {"x": {"__classname__": "builtins.set", "__version__": 1, "__data__": [[1]]}}
    valid = {"moment": {"__type": "datetime", "__var": 0.0}}
    stored = ["gAAAAABnot-ours", *map(json.dumps, (hidden, invalid, unhashable, valid))]
    rows = []
    for text in stored:
        trigger = Trigger(classpath="a.B", kwargs={})
        trigger.id, trigger.encrypted_kwargs = 1, text
        rows.append(trigger)
    shown = [TriggerResponse.model_validate(row, from_attributes=True).model_dump()["kwargs"] for row in rows]
    assert shown == ["{}"] * 5
    assert [row.kwargs for row in rows] == [{}, {}, {}, {}, {"moment": datetime(1970, 1, 1, tzinfo=UTC)}]
