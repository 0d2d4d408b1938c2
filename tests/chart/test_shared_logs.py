"""The contract says whether Airflow shows what every component has logged of a task that has ended."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chart.rendering import Object, find_object, render
from kpo_platform.contract import CONFIGMAP_KEY


def read_shared_logs(values: Object) -> Any:
    contract = find_object(render(values), "ConfigMap", "airflow-contract")["data"][CONFIGMAP_KEY]
    return json.loads(contract)["airflow"]["sharedLogs"]


@pytest.mark.parametrize(
    ("folder", "is_shared"),
    [
        *(("s3://logs/airflow", True), ("gs://logs", True), ("wasb://logs", True), ("wasb-logs", True)),
        *(("cloudwatch://arn:aws:logs:eu:1:log-group:x", False), ("hdfs://node/logs", False), ("oss://logs", False)),
        *(("stackdriver:///airflow", False), ("/logs/s3://", False), ("", False), (None, False)),
    ],
)
@pytest.mark.parametrize("claim", ["", "logs"])
def test_remote_logs_are_shared_where_airflow_lists_the_files_of_a_try(
    folder: str | None, is_shared: bool, claim: str
) -> None:
    """Once it finds a remote log of an ended task, it does not look at the volume."""
    logging = {"remote_logging": True} | ({} if folder is None else {"remote_base_log_folder": folder})
    values = {"config": {"logging": logging}, "logs": {"persistence": {"existingClaim": claim}}}
    assert read_shared_logs(values) is is_shared


@pytest.mark.parametrize("remote", [None, False, "False"])
@pytest.mark.parametrize(("claim", "is_shared"), [("", False), ("logs", True)])
def test_logs_on_volumes_are_shared_on_one_for_all_components(remote: Any, claim: str, is_shared: bool) -> None:
    logging = {} if remote is None else {"remote_logging": remote, "remote_base_log_folder": "s3://logs"}
    values = {"config": {"logging": logging}, "logs": {"persistence": {"existingClaim": claim}}}
    assert read_shared_logs(values) is is_shared
