"""Triggers that the triggerer will refuse: log lines when a DAG is parsed, and findings of lint."""

from __future__ import annotations

import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.providers.standard.sensors.date_time import DateTimeSensorAsync
from airflow.providers.standard.sensors.external_task import ExternalTaskSensor
from airflow.providers.standard.sensors.filesystem import FileSensor
from airflow.providers.standard.sensors.time_delta import TimeDeltaSensor
from airflow.sdk import DAG, Asset, AssetWatcher, AsyncCallback, BaseOperator, DeadlineAlert, DeadlineReference
from airflow.triggers.base import BaseEventTrigger
from airflow.triggers.testing import SuccessTrigger

from kpo_platform import TeamPodOperator
from kpo_platform.airflow.policies import cluster_policy
from unit.support.contracts import CONTRACT, write_contract
from unit.support.platformctl import Platformctl
from unit.support.stored_triggers import CALLBACK, FILE

ASK = "Ask the platform team to add the class and its arguments to triggerer.allow."
NOT_LISTED = "it is not in the list of allowed triggers"


class OwnOperator(BaseOperator):
    """An operator that defers without an argument."""

    def execute(self, context: Any) -> None:
        self.defer(trigger=SuccessTrigger(), method_name="execute_complete")


class DerivedOperator(OwnOperator):
    """Names no trigger itself."""


class OwnEventTrigger(BaseEventTrigger):
    def serialize(self) -> tuple[str, dict[str, Any]]:
        return "team.watchers.OwnEventTrigger", {}

    async def run(self) -> Any:
        yield


class BrokenEventTrigger(OwnEventTrigger):
    def serialize(self) -> tuple[str, dict[str, Any]]:
        raise RuntimeError("broken")


async def notify() -> None:
    """Is called by a deadline."""


@pytest.fixture
def contract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "contract.json"
    write_contract(file, CONTRACT)
    monkeypatch.setenv("KPO_PLATFORM_CONTRACT", str(file))
    monkeypatch.setattr("sys.argv", ["airflow", "dag-processor"])
    return file


def list_warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    name = "kpo_platform.airflow.policies.trigger_warnings"
    return [record.getMessage() for record in caplog.records if record.name == name]


def refused(class_path: str, cause: str = NOT_LISTED) -> str:
    return f"The triggerer refuses the trigger '{class_path}': {cause}. {ASK}"


def test_refused_task_is_logged_and_stays(contract: Path, caplog: pytest.LogCaptureFixture):
    with DAG("d", schedule=None) as dag, caplog.at_level(logging.WARNING):
        FileSensor(task_id="file", filepath="/x", deferrable=True)
        FileSensor(task_id="poked_file", filepath="/x")
        FileSensor.partial(task_id="mapped", deferrable=True).expand(filepath=["/x"])
        FileSensor.partial(task_id="mapped_poked").expand(filepath=["/x"])
        OwnOperator(task_id="own")
        DerivedOperator(task_id="derived")
    for task in dag.tasks:
        cluster_policy.task_policy(task)
    success = "airflow.triggers.testing.SuccessTrigger"
    assert list_warnings(caplog) == [
        f"Task file of DAG d: {refused(FILE)}",
        f"Task mapped of DAG d: {refused(FILE)}",
        f"Task own of DAG d: {refused(success)}",
        f"Task derived of DAG d: {refused(success)}",
    ]


def test_stock_deferrable_tasks_are_not_logged(contract: Path, caplog: pytest.LogCaptureFixture):
    with DAG("d", schedule=None) as dag, caplog.at_level(logging.WARNING):
        TeamPodOperator(task_id="pod", team="alpha", image="busybox:1.35")
        DateTimeSensorAsync(task_id="date", target_time="2026-01-01T00:00:00+00:00")
        DateTimeSensorAsync(task_id="direct", target_time="2026-01-01T00:00:00+00:00", start_from_trigger=True)
        TimeDeltaSensor(task_id="delta", delta=timedelta(seconds=1), deferrable=True)
        ExternalTaskSensor(task_id="dag", external_dag_id="e", deferrable=True)
        TriggerDagRunOperator(task_id="start", trigger_dag_id="e", wait_for_completion=True, deferrable=True)
    cluster_policy.dag_policy(dag)
    for task in dag.tasks:
        cluster_policy.task_policy(task)
    assert list_warnings(caplog) == []


@pytest.mark.parametrize(
    "isolation", [{"enabled": False}, {"triggers": [{"class": FILE, "arguments": {"filepath": ["/x"]}}]}]
)
def test_allowed_or_unjudged_class_is_not_logged(
    contract: Path, caplog: pytest.LogCaptureFixture, isolation: dict[str, Any]
):
    write_contract(contract, {**CONTRACT, "isolation": isolation})
    with DAG("d", schedule=None):
        task = FileSensor(task_id="file", filepath="/x", deferrable=True)
    cluster_policy.task_policy(task)
    assert list_warnings(caplog) == []


def test_worker_does_not_log_triggers(
    contract: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("sys.argv", ["airflow", "scheduler"])
    with DAG("d", schedule=None):
        task = FileSensor(task_id="file", filepath="/x", deferrable=True)
    cluster_policy.task_policy(task)
    assert list_warnings(caplog) == []


def build_dag(trigger: BaseEventTrigger) -> DAG:
    deadline = DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT, interval=timedelta(minutes=5), callback=AsyncCallback(notify)
    )
    watcher = AssetWatcher(name="w", trigger=trigger)
    return DAG("d", schedule=[Asset("a", watchers=[watcher])], deadline=deadline)


def test_refused_callback_and_watcher_of_a_dag_are_logged(contract: Path, caplog: pytest.LogCaptureFixture):
    cluster_policy.dag_policy(build_dag(OwnEventTrigger()))
    assert list_warnings(caplog) == [
        f"DAG d: {refused(CALLBACK)}",
        f"DAG d: {refused('team.watchers.OwnEventTrigger')}",
    ]


def test_error_during_the_check_is_not_an_import_error(contract: Path, caplog: pytest.LogCaptureFixture):
    cluster_policy.dag_policy(build_dag(BrokenEventTrigger()))
    assert list_warnings(caplog) == [f"DAG d: {refused(CALLBACK)}"]
    contract.write_text("{")
    with DAG("d", schedule=None):
        task = FileSensor(task_id="file", filepath="/x", deferrable=True)
    cluster_policy.task_policy(task)
    assert list_warnings(caplog)[1].startswith(
        "Task file of DAG d: cannot check its triggers (ContractError: Cannot read the contract: "
    )


DAG_FILE = """\
from airflow.providers.standard.sensors.filesystem import FileSensor
from airflow.sdk import DAG

with DAG("files", schedule=None):
    FileSensor(
        task_id="wait",
        filepath="/x",
        deferrable=True,
    )
"""


def test_lint_finds_the_line_of_a_refused_trigger(
    tmp_path: Path, platformctl: Platformctl, contract: Path, offline_in_process: None
):
    file = tmp_path / "dags" / "alpha" / "files.py"
    file.parent.mkdir(parents=True)
    file.write_text(DAG_FILE)
    result = platformctl("lint", str(tmp_path / "dags"), "--contract", str(contract))
    assert (result.code, result.out) == (1, f"{file}:8: error KPO-TRG001 task wait: {refused(FILE)}\n")
