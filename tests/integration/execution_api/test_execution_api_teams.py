"""The guard of the Execution API on assets, keys of variables, and tokens of several kinds."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any
from uuid import uuid4

import pytest
from airflow import settings
from airflow.api_fastapi.execution_api.app import InProcessExecutionAPI
from airflow.models.asset import (
    AssetDagRunQueue,
    AssetEvent,
    AssetModel,
    DagScheduleAssetUriReference,
    TaskOutletAssetReference,
)
from airflow.models.callback import CallbackFetchMethod, ExecutorCallback
from airflow.models.dag import DagModel
from airflow.models.log import Log
from airflow.models.taskinstance import TaskInstance
from airflow.sdk.api.client import Client, ServerResponseError
from airflow.sdk.definitions.callback import SyncCallback
from airflow.utils.session import create_session
from airflow.utils.state import TaskInstanceState
from sqlalchemy import event, select

from integration.support.execution_api import ExecutionApi, PublishIsolation, SharedApi
from integration.support.isolation_database import LOGICAL_DATE, RUN_ID
from kpo_platform.airflow.guards.execution_api import request as guarded_request
from kpo_platform.airflow.guards.execution_api.asset_events import AUDIT_EVENT
from kpo_platform.airflow.guards.origin import Origin
from kpo_platform.airflow.guards.task_origins import read_task_origin

BETA_XCOM = f"/xcoms/beta_dag/{RUN_ID}/t/k"


def succeed(api: ExecutionApi, outlets: list[dict[str, str]], events: Iterable[dict[str, Any]] = ()) -> int:
    """Let the task of team alpha succeed with these outlets and events."""
    body = {
        "state": "success",
        "end_date": LOGICAL_DATE.isoformat(),
        "task_outlets": outlets,
        "outlet_events": list(events),
    }
    return api.request_as("alpha", "PATCH", f"/task-instances/{api.tasks['alpha']}/state", json=body).status_code


def read_outcome(api: ExecutionApi) -> tuple[str | None, list[str]]:
    """Read the state of alpha's task, and the names of all assets with events."""
    with create_session() as session:
        state = session.scalar(select(TaskInstance.state).where(TaskInstance.id == api.tasks["alpha"]))
        return state, sorted(session.scalars(select(AssetModel.name).join(AssetEvent.asset)))


def describe_asset(prefix: str) -> dict[str, str]:
    return {"type": "Asset", "name": f"{prefix}_asset", "uri": f"s3://{prefix}/asset"}


def describe_alias_event(alias: str, asset: str) -> dict[str, Any]:
    return {
        "source_alias_name": f"{alias}_alias",
        "dest_asset_key": {"name": f"{asset}_asset", "uri": f"s3://{asset}/asset"},
        "extra": {},
        "dest_asset_extra": {},
    }


@pytest.mark.parametrize("prefix", ["alpha", "gamma", "common"])
def test_task_emits_events_of_own_granted_and_shared_assets(execution_api: ExecutionApi, prefix: str):
    assert succeed(execution_api, [describe_asset(prefix)]) == 204
    assert read_outcome(execution_api) == ("success", [f"{prefix}_asset"])


@pytest.mark.parametrize(
    ("outlets", "events"),
    [
        ([describe_asset("alpha"), describe_asset("beta")], []),
        ([{"type": "AssetNameRef", "name": "beta_asset"}], []),
        ([{"type": "AssetUriRef", "uri": "s3://beta/asset"}], []),
        ([{"type": "AssetAlias", "name": "alpha_alias"}], [describe_alias_event("alpha", "beta")]),
        ([{"type": "AssetAlias", "name": "beta_alias"}], [describe_alias_event("beta", "alpha")]),
        ([{"type": "AssetUriRef", "name": "x", "uri": "s3://beta/asset"}], []),
        ([{"type": "AssetUriRef", "name": "alpha_x", "uri": "s3://beta/asset"}], []),
        ([{"type": "AssetNameRef", "name": "beta_asset", "uri": "s3://alpha/asset"}], []),
        (
            [{"type": "AssetAlias", "name": "alpha_alias"}],
            [{**describe_alias_event("alpha", "x"), "dest_asset_key": {"name": "alpha_y", "uri": "s3://beta/asset"}}],
        ),
    ],
    ids=[
        "asset",
        "name",
        "uri",
        "asset-by-own-alias",
        "foreign-alias",
        "uri-with-a-name",
        "uri-with-an-own-name",
        "name-with-an-own-uri",
        "own-name-with-a-foreign-uri",
    ],
)
def test_task_that_emits_an_event_of_a_foreign_asset_fails(
    execution_api: ExecutionApi, outlets: list[dict[str, str]], events: list[dict[str, Any]]
):
    with create_session() as session:
        session.add(DagScheduleAssetUriReference(uri="s3://beta/asset", dag_id="beta_dag"))
        session.get_one(DagModel, "beta_dag").is_paused = False
    assert succeed(execution_api, outlets, events) == 204
    assert read_outcome(execution_api) == ("failed", [])
    with create_session() as session:
        assert list(session.scalars(select(AssetDagRunQueue.target_dag_id))) == []
        reasons = list(session.scalars(select(Log.extra).where(Log.event == AUDIT_EVENT, Log.dag_id == "alpha_dag")))
    assert [reason[:32] for reason in reasons] == ["Team 'alpha' cannot update asset"]


@pytest.mark.parametrize(
    ("outlets", "events"),
    [
        ([{"type": "AssetNameRef", "name": "alpha_asset"}], []),
        ([{"type": "AssetUriRef", "uri": "s3://alpha/asset"}], []),
        ([{"type": "AssetAlias", "name": "alpha_alias"}], [describe_alias_event("alpha", "alpha")]),
    ],
    ids=["name", "uri", "alias"],
)
def test_task_emits_events_of_own_assets_by_reference(
    execution_api: ExecutionApi, outlets: list[dict[str, str]], events: list[dict[str, Any]]
):
    assert succeed(execution_api, outlets, events) == 204
    assert read_outcome(execution_api) == ("success", ["alpha_asset"])


def test_foreign_outlet_of_the_dag_is_refused_before_the_task_runs(execution_api: ExecutionApi):
    with create_session() as session:
        asset_id = session.scalars(select(AssetModel.id).where(AssetModel.name == "beta_asset")).one()
        session.add(TaskOutletAssetReference(dag_id="alpha_dag", task_id="t", asset_id=asset_id))
    path = f"/task-instances/{execution_api.tasks['alpha']}/validate-inlets-and-outlets"
    response = execution_api.request_as("alpha", "GET", path)
    assert (response.status_code, response.json()["detail"]) == (
        403,
        "Team 'alpha' cannot update asset 'beta_asset': it belongs to team 'beta'. List it in "
        "isolation.shared.assets, or add {from: alpha, to: beta, do: [asset]} to isolation.grants.",
    )


@pytest.mark.parametrize(
    ("asker", "parameters", "answer"),
    [
        ("alpha", {}, {"keys": ["alpha_key", "common_key"], "total_entries": 2}),
        ("alpha", {"limit": 1}, {"keys": ["alpha_key"], "total_entries": 2}),
        ("alpha", {"limit": 1, "offset": 1}, {"keys": ["common_key"], "total_entries": 2}),
        ("alpha", {"prefix": "beta"}, {"keys": [], "total_entries": 0}),
        ("beta", {}, {"keys": ["beta_key", "common_key"], "total_entries": 2}),
        ("common", {}, {"keys": ["common_key"], "total_entries": 1}),
    ],
)
def test_list_of_variables_has_only_readable_keys(
    execution_api: ExecutionApi, asker: str, parameters: dict[str, Any], answer: dict[str, Any]
):
    assert execution_api.request_as(asker, "GET", "/variables/keys", params=parameters).json() == answer


def test_token_of_an_earlier_try_keeps_its_team(execution_api: ExecutionApi):
    with create_session() as session:
        task = session.get_one(TaskInstance, execution_api.tasks["alpha"])
        task.state = TaskInstanceState.FAILED
        task.prepare_db_for_next_try(session=session)
    codes = [
        execution_api.request_as(execution_api.tasks["alpha"], "GET", f"/variables/{prefix}_key").status_code
        for prefix in ("alpha", "beta")
    ]
    assert codes == [200, 403]


def test_unknown_task_is_refused_except_where_the_supervisor_waits(execution_api: ExecutionApi):
    stranger = uuid4()
    refused = execution_api.request_as(stranger, "GET", "/variables/common_key")
    body = {"state": "success", "end_date": LOGICAL_DATE.isoformat(), "task_outlets": [], "outlet_events": []}
    ended = execution_api.request_as(stranger, "PATCH", f"/task-instances/{stranger}/state", json=body)
    beat = execution_api.request_as(
        stranger, "PUT", f"/task-instances/{stranger}/heartbeat", json={"hostname": "h", "pid": 1}
    )
    assert (refused.status_code, refused.json()["detail"], ended.status_code, beat.status_code) == (
        403,
        "The token's task does not exist any more. Run the task again.",
        404,
        404,
    )


@pytest.mark.parametrize(
    ("bundle", "dag_id", "origin", "codes"),
    [
        (None, "gamma_dag", Origin("shared-dags", "etl/gamma/x.py"), [403, 200]),
        ("shared-dags", "gamma_dag", Origin("shared-dags", "etl/gamma/x.py"), [403, 200]),
        ("alpha", "alpha_dag", Origin("alpha", "x.py"), [200, 403]),
        ("alpha", "gamma_dag", Origin("alpha"), [403, 403]),
        ("alpha", None, Origin("alpha"), [200, 403]),
        (None, None, Origin(), [403, 403]),
    ],
)
def test_callback_has_the_team_of_its_dag(
    execution_api: ExecutionApi, bundle: str | None, dag_id: str | None, origin: Origin, codes: list[int]
):
    with create_session() as session:
        callback = ExecutorCallback(SyncCallback(run_callback), CallbackFetchMethod.IMPORT_PATH, dag_id=dag_id)
        callback.bundle_name = bundle
        session.add(callback)
        session.flush()
        callback_id = callback.id
        task = read_task_origin(session, callback_id)
        assert task is not None
        assert (task.dag, task.dag_id) == (origin, dag_id)
    paths = [f"/variables/{prefix}_key" for prefix in ("alpha", "gamma")]
    assert [execution_api.request_as(callback_id, "GET", path).status_code for path in paths] == codes


def run_callback() -> None:
    """A callback of a DAG."""


def test_connection_test_reaches_only_itself(execution_api: ExecutionApi):
    test_id = uuid4()
    token = execution_api.generator.generate({"sub": str(test_id), "scope": "workload"})
    codes = [
        execution_api.client.get(path, headers={"Authorization": f"Bearer {token}"}).status_code
        for path in (f"/connection-tests/{test_id}/connection", "/connections/common_db")
    ]
    assert codes == [404, 403]


def test_api_inside_the_dag_processor_has_no_tokens_and_no_guard(execution_api: ExecutionApi):
    client = Client(base_url=None, token="", dry_run=True, transport=InProcessExecutionAPI().transport)  # type: ignore[call-arg]
    client.base_url = "http://in-process.invalid./"
    assert client.variables.get("beta_key").value == "beta"  # type: ignore[union-attr]
    assert client.variables.keys().total_entries == 4  # type: ignore[union-attr]


def test_refusals_reach_the_task_as_one_sentence(execution_api: ExecutionApi):
    token = execution_api.generator.generate({"sub": str(execution_api.tasks["alpha"]), "scope": "execution"})
    client = Client(base_url="http://testserver", token=token, transport=execution_api.client._transport)  # type: ignore[call-arg]
    with pytest.raises(ServerResponseError) as xcom:
        client.xcoms.get("beta_dag", RUN_ID, "t", "k")
    with pytest.raises(ServerResponseError) as trigger:
        client.dag_runs.trigger("beta_dag", "r2")
    assert [str(xcom.value), str(trigger.value)] == [
        "Team 'alpha' cannot read XComs of DAG 'beta_dag': it belongs to team 'beta'. Add {from: alpha, to: beta, "
        "do: [xcom]} to isolation.grants.",
        "Team 'alpha' cannot trigger DAG 'beta_dag': it belongs to team 'beta'. Add {from: alpha, to: beta, "
        "do: [trigger]} to isolation.grants.",
    ]
    denied = client.connections.get("beta_db")
    assert (denied.error.value, denied.detail) == (  # type: ignore[union-attr]
        "PERMISSION_DENIED",
        {"conn_id": "beta_db", "status_code": 403},
    )


def test_grant_takes_effect_without_a_restart(execution_api: ExecutionApi, publish_isolation: PublishIsolation):
    before = execution_api.request_as("alpha", "GET", BETA_XCOM).status_code
    publish_isolation({"grants": [{"from": "alpha", "to": "beta", "do": ["xcom"]}]})
    after = execution_api.request_as("alpha", "GET", BETA_XCOM)
    assert (before, after.status_code, after.json()["value"]) == (403, 200, '"beta value"')


def test_contract_that_becomes_unreadable_does_not_open_anything(
    execution_api: ExecutionApi, shared_api: SharedApi, publish_isolation: PublishIsolation
):
    publish_isolation({})
    before = [execution_api.request_as("alpha", "GET", f"/variables/{x}_key").status_code for x in ("alpha", "beta")]
    shared_api.contract.write_text(json.dumps({"version": 99}))
    after = [execution_api.request_as("alpha", "GET", f"/variables/{x}_key").status_code for x in ("alpha", "beta")]
    assert (before, after) == ([200, 403], [200, 403])


def test_second_request_of_a_task_asks_the_database_for_no_team(execution_api: ExecutionApi):
    def count_statements(path: str) -> int:
        statements: list[str] = []
        event.listen(settings.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
        assert execution_api.request_as("alpha", "GET", path).status_code == 200
        return len([statement for statement in statements if "dag_version" in statement])

    assert [count_statements("/variables/alpha_key") for _ in range(2)] == [2, 0]
    guarded_request._tasks._results.clear()
    assert count_statements("/variables/alpha_key") == 2
