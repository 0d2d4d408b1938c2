"""The arguments with which a task resumes: the Execution API deserializes only plain values of them."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.models.taskinstance import TaskInstance
from airflow.sdk import serde
from airflow.utils.session import create_session

from integration.support.execution_api import ExecutionApi, PublishIsolation
from integration.support.isolation_database import LOGICAL_DATE

OLD_VERSION = "2025-11-05"
ASSET_CLASS = "airflow.sdk.definitions.asset.Asset"
ASSET = {"x": {"__classname__": ASSET_CLASS, "__version__": 1, "__data__": {"name": "a", "uri": "s3://a"}}}
MOMENT = {
    "x": {
        "__classname__": "datetime.datetime",
        "__version__": 2,
        "__data__": {
            "timestamp": 0.0,
            "tz": {
                "__classname__": "builtins.tuple",
                "__version__": 1,
                "__data__": ["UTC", "pendulum.tz.timezone.Timezone", 1, True],
            },
        },
    }
}
INVALID = {"x": {"__classname__": "uuid.UUID", "__version__": 1, "__data__": "zz"}}


@pytest.fixture
def imported(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The classes that Airflow imports to create objects of them."""
    classes: list[str] = []
    import_string = serde.import_string
    monkeypatch.setattr(serde, "import_string", lambda path: (classes.append(path), import_string(path))[1])
    return classes


def resume_after_answer(api: ExecutionApi, arguments: Any) -> tuple[str | None, str | None, Any]:
    """Let alpha's task wait for an answer that is there; return its state, next method and next arguments."""
    task_id = api.tasks["alpha"]
    answer = {"ti_id": str(task_id), "chosen_options": ["yes"], "params_input": {}}
    assert api.request_as("alpha", "PATCH", f"/hitlDetails/{task_id}", json=answer).status_code == 200
    body = {"state": "awaiting_input", "next_method": "resume", "next_kwargs": arguments}
    assert api.request_as("alpha", "PATCH", f"/task-instances/{task_id}/state", json=body).status_code == 204
    with create_session() as session:
        task = session.get_one(TaskInstance, task_id)
        return task.state, task.next_method, task.next_kwargs


def run_with_old_worker(api: ExecutionApi, arguments: Any) -> Any:
    """Start alpha's task for a worker with an old API version; return the arguments that it gets."""
    task_id = api.tasks["alpha"]
    with create_session() as session:
        task = session.get_one(TaskInstance, task_id)
        task.state, task.next_method, task.next_kwargs = "queued", "resume", arguments
    body = {"state": "running", "hostname": "h", "unixname": "u", "pid": 1, "start_date": LOGICAL_DATE.isoformat()}
    headers = {"Airflow-API-Version": OLD_VERSION}
    response = api.request_as("alpha", "PATCH", f"/task-instances/{task_id}/run", json=body, headers=headers)
    return response.json().get("next_kwargs")


def test_object_in_the_arguments_fails_the_task_that_resumes(execution_api: ExecutionApi, imported: list[str]):
    state, method, arguments = resume_after_answer(execution_api, ASSET)
    assert (state, method, arguments["error"], ASSET_CLASS in imported) == (
        "scheduled",
        "__fail__",
        "Could not resume the task: its stored next_kwargs could not be decoded (NotPlainError: has an object of class "
        f"{ASSET_CLASS!r})",
        False,
    )


def test_plain_arguments_reach_the_task_that_resumes(execution_api: ExecutionApi):
    state, method, arguments = resume_after_answer(execution_api, MOMENT)
    assert (state, method, serde.deserialize(arguments["x"])) == ("scheduled", "resume", serde.deserialize(MOMENT["x"]))
    assert arguments["event"]["chosen_options"] == ["yes"]


def test_object_reaches_an_old_worker_without_being_created(execution_api: ExecutionApi, imported: list[str]):
    assert run_with_old_worker(execution_api, ASSET) == ASSET
    assert imported == []


@pytest.mark.parametrize(
    ("stored", "converted"),
    [
        (MOMENT, {"__type": "dict", "__var": {"x": {"__type": "datetime", "__var": 0.0}}}),
        ({"__type": "dict", "__var": {"x": 1}}, {"__type": "dict", "__var": {"x": 1}}),
        (INVALID, INVALID),
    ],
    ids=["current", "old", "invalid"],
)
def test_old_worker_gets_plain_arguments_in_its_form(execution_api: ExecutionApi, stored: Any, converted: Any):
    assert run_with_old_worker(execution_api, stored) == converted


def test_without_isolation_airflow_creates_the_object(
    execution_api: ExecutionApi, publish_isolation: PublishIsolation, imported: list[str]
):
    publish_isolation({"enabled": False})
    assert resume_after_answer(execution_api, ASSET)[:2] == ("scheduled", "resume")
    assert ASSET_CLASS in imported
