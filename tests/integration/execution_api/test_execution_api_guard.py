"""Every endpoint of Airflow's Execution API, tried by team alpha on its own, other teams' and shared things."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.api_fastapi.execution_api.routes import execution_api_router
from airflow.api_fastapi.execution_api.versions import bundle
from fastapi.routing import APIRoute

from integration.support.execution_api import ExecutionApi, PublishIsolation
from integration.support.isolation_database import LOGICAL_DATE, RUN_ID
from kpo_platform.airflow.guards.execution_api import request as guarded_request
from kpo_platform.airflow.guards.execution_api.app import find_authenticated_routes
from kpo_platform.airflow.guards.execution_api.request import refuse_foreign_access
from kpo_platform.airflow.guards.execution_api.rules import RULES, OutletRule, OwnRule

TARGETS = ("alpha", "beta", "gamma", "common")
"""Team alpha's own things, those of another team, of a team that grants everything, and of no team."""
UNAUTHENTICATED = {"health", "ping"}

DAG_QUERY = {"dag_id": "{x}_dag"}
DATE = LOGICAL_DATE.isoformat()
TASK = "/task-instances/{ti}"
XCOM = f"/xcoms/{{x}}_dag/{RUN_ID}/t/k"
BY_NAME = {"name": "{x}_asset"}
BY_URI = {"uri": "s3://{x}/asset"}
KEY = {"key": "k"}
ENDED = {"state": "success", "end_date": DATE, "task_outlets": [], "outlet_events": []}
START = {"state": "running", "hostname": "h", "unixname": "u", "pid": 1, "start_date": DATE}
HITL = {"ti_id": "{ti}", "options": ["yes"], "subject": "?", "chosen_options": ["yes"], "params_input": {}}
MISSING_TEST = "/connection-tests/{ti}"

REQUESTS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "get_asset_by_name": ("GET", "/assets/by-name", {"params": BY_NAME}),
    "get_asset_by_uri": ("GET", "/assets/by-uri", {"params": BY_URI}),
    "get_assets_by_alias": ("GET", "/assets/by-alias", {"params": {"alias_name": "{x}_alias"}}),
    "get_asset_event_by_asset_name_uri": ("GET", "/asset-events/by-asset", {"params": BY_NAME | BY_URI}),
    "get_asset_event_by_asset_alias": ("GET", "/asset-events/by-asset-alias", {"params": {"name": "{x}_alias"}}),
    "get_connection_test_connection": ("GET", f"{MISSING_TEST}/connection", {}),
    "patch_connection_test": ("PATCH", MISSING_TEST, {"json": {"state": "success"}}),
    "get_connection": ("GET", "/connections/{x}_db", {}),
    "get_previous_dagrun_compat": (
        "GET",
        "/dag-runs/{x}_dag/previous",
        {"params": {"logical_date": DATE}, "headers": {"Airflow-API-Version": "2025-11-05"}},
    ),
    "get_dag_run": ("GET", f"/dag-runs/{{x}}_dag/{RUN_ID}", {}),
    "trigger_dag_run": ("POST", "/dag-runs/{x}_dag/r2", {"json": {}}),
    "clear_dag_run": ("POST", f"/dag-runs/{{x}}_dag/{RUN_ID}/clear", {}),
    "get_dagrun_state": ("GET", f"/dag-runs/{{x}}_dag/{RUN_ID}/state", {}),
    "get_dr_count": ("GET", "/dag-runs/count", {"params": DAG_QUERY}),
    "get_previous_dagrun": ("GET", "/dag-runs/previous", {"params": {**DAG_QUERY, "logical_date": DATE}}),
    "get_dag": ("GET", "/dags/{x}_dag", {}),
    "get_task_instance_count": ("GET", "/task-instances/count", {"params": DAG_QUERY}),
    "get_previous_task_instance": ("GET", "/task-instances/previous/{x}_dag/t", {}),
    "get_task_instance_states": ("GET", "/task-instances/states", {"params": DAG_QUERY}),
    "get_task_instance_breadcrumbs": (
        "GET",
        "/task-instances/breadcrumbs",
        {"params": {**DAG_QUERY, "run_id": RUN_ID}},
    ),
    "ti_run": ("PATCH", f"{TASK}/run", {"json": START}),
    "ti_update_state": ("PATCH", f"{TASK}/state", {"json": ENDED}),
    "ti_skip_downstream": ("PATCH", f"{TASK}/skip-downstream", {"json": {"tasks": []}}),
    "ti_heartbeat": ("PUT", f"{TASK}/heartbeat", {"json": {"hostname": "h", "pid": 1}}),
    "ti_put_rtif": ("PUT", f"{TASK}/rtif", {"json": {"field": "x"}}),
    "ti_patch_rendered_map_index": ("PATCH", f"{TASK}/rendered-map-index", {"json": "x"}),
    "get_previous_successful_dagrun": ("GET", f"{TASK}/previous-successful-dagrun", {}),
    "validate_inlets_and_outlets": ("GET", f"{TASK}/validate-inlets-and-outlets", {}),
    "get_start_date": ("GET", "/task-reschedules/{ti}/start_date", {}),
    "get_variable_keys": ("GET", "/variables/keys", {"params": {"prefix": "{x}"}}),
    "get_variable": ("GET", "/variables/{x}_key", {}),
    "put_variable": ("PUT", "/variables/{x}_key", {"json": {"value": "v"}}),
    "delete_variable": ("DELETE", "/variables/{x}_key", {}),
    "get_mapped_xcom_by_index": ("GET", f"{XCOM}/item/0", {}),
    "get_mapped_xcom_by_slice": ("GET", f"{XCOM}/slice", {}),
    "head_xcom": ("HEAD", XCOM, {}),
    "get_xcom": ("GET", XCOM, {}),
    "set_xcom": ("POST", XCOM, {"json": "forged"}),
    "delete_xcom": ("DELETE", XCOM, {}),
    "upsert_hitl_detail": ("POST", "/hitlDetails/{ti}", {"json": HITL}),
    "update_hitl_detail": ("PATCH", "/hitlDetails/{ti}", {"json": HITL}),
    "get_hitl_detail": ("GET", "/hitlDetails/{ti}", {}),
    "get_task_state_store": ("GET", "/store/ti/{ti}/k", {}),
    "set_task_state_store": ("PUT", "/store/ti/{ti}/k", {"json": {"value": 1}}),
    "delete_task_state_store": ("DELETE", "/store/ti/{ti}/k", {}),
    "clear_task_state_store": ("DELETE", "/store/ti/{ti}", {}),
    "get_asset_state_store_by_name": ("GET", "/store/asset/by-name/value", {"params": BY_NAME | KEY}),
    "set_asset_state_store_by_name": (
        "PUT",
        "/store/asset/by-name/value",
        {"params": BY_NAME | KEY, "json": {"value": 1}},
    ),
    "delete_asset_state_store_by_name": ("DELETE", "/store/asset/by-name/value", {"params": BY_NAME | KEY}),
    "clear_asset_state_store_by_name": ("DELETE", "/store/asset/by-name/clear", {"params": BY_NAME}),
    "get_asset_state_store_by_uri": ("GET", "/store/asset/by-uri/value", {"params": BY_URI | KEY}),
    "set_asset_state_store_by_uri": (
        "PUT",
        "/store/asset/by-uri/value",
        {"params": BY_URI | KEY, "json": {"value": 1}},
    ),
    "delete_asset_state_store_by_uri": ("DELETE", "/store/asset/by-uri/value", {"params": BY_URI | KEY}),
    "clear_asset_state_store_by_uri": ("DELETE", "/store/asset/by-uri/clear", {"params": BY_URI}),
}


def fill(value: Any, target: str, task_id: str) -> Any:
    """Put the target's prefix and its task's id into a request."""
    if isinstance(value, str):
        return value.replace("{x}", target).replace("{ti}", task_id)
    if isinstance(value, dict):
        return {key: fill(item, target, task_id) for key, item in value.items()}
    return value


def send(api: ExecutionApi, endpoint: str, asker: str, target: str) -> int:
    method, path, arguments = REQUESTS[endpoint]
    task_id = str(api.tasks[target])
    response = api.request_as(asker, method, fill(path, target, task_id), **fill(arguments, target, task_id))
    return response.status_code


def test_every_endpoint_of_airflow_has_a_rule_and_a_request():
    endpoints = {route.name for route in find_authenticated_routes(execution_api_router.routes)}
    assert endpoints == set(RULES) == set(REQUESTS)
    assert {route.name for route in execution_api_router.routes} - endpoints == UNAUTHENTICATED


READ = (200, 403, 200, 200)
CHANGED = (204, 403, 204, 204)
NAME_READ = (200, 403, 403, 200)
OWN_READ = (200, 403, 403, 403)
OWN_CREATED = (201, 403, 403, 403)
OWN_CHANGED = (204, 403, 403, 403)

STATUS_CODES: dict[str, tuple[int, int, int, int]] = {
    "clear_asset_state_store_by_name": CHANGED,
    "clear_asset_state_store_by_uri": CHANGED,
    "clear_dag_run": CHANGED,
    "clear_task_state_store": OWN_CHANGED,
    "delete_asset_state_store_by_name": CHANGED,
    "delete_asset_state_store_by_uri": CHANGED,
    "delete_task_state_store": OWN_CHANGED,
    "delete_variable": (204, 403, 403, 204),
    "delete_xcom": NAME_READ,
    "get_asset_by_name": READ,
    "get_asset_by_uri": READ,
    "get_asset_event_by_asset_alias": READ,
    "get_asset_event_by_asset_name_uri": READ,
    "get_asset_state_store_by_name": READ,
    "get_asset_state_store_by_uri": READ,
    "get_assets_by_alias": READ,
    "get_connection": NAME_READ,
    "get_connection_test_connection": (403, 403, 403, 403),
    "get_dag": READ,
    "get_dag_run": READ,
    "get_dagrun_state": READ,
    "get_dr_count": READ,
    "get_hitl_detail": OWN_READ,
    "get_mapped_xcom_by_index": READ,
    "get_mapped_xcom_by_slice": READ,
    "get_previous_dagrun": READ,
    "get_previous_dagrun_compat": READ,
    "get_previous_successful_dagrun": OWN_READ,
    "get_previous_task_instance": READ,
    "get_start_date": OWN_READ,
    "get_task_instance_breadcrumbs": READ,
    "get_task_instance_count": READ,
    "get_task_instance_states": READ,
    "get_task_state_store": (404, 403, 403, 403),
    "get_variable": NAME_READ,
    "get_variable_keys": (200, 200, 200, 200),
    "get_xcom": READ,
    "head_xcom": READ,
    "patch_connection_test": (403, 403, 403, 403),
    "put_variable": (201, 403, 403, 201),
    "set_asset_state_store_by_name": CHANGED,
    "set_asset_state_store_by_uri": CHANGED,
    "set_task_state_store": OWN_CHANGED,
    "set_xcom": (201, 403, 403, 201),
    "ti_heartbeat": OWN_CHANGED,
    "ti_patch_rendered_map_index": OWN_CHANGED,
    "ti_put_rtif": OWN_CREATED,
    "ti_run": OWN_READ,
    "ti_skip_downstream": OWN_CHANGED,
    "ti_update_state": OWN_CHANGED,
    "trigger_dag_run": CHANGED,
    "update_hitl_detail": OWN_READ,
    "upsert_hitl_detail": OWN_CREATED,
    "validate_inlets_and_outlets": OWN_READ,
}
"""The answers to team alpha for each of `TARGETS`. Airflow itself refuses ids of other tasks and connection tests."""

OWN_ENDPOINTS = {endpoint for endpoint, rule in RULES.items() if isinstance(rule, (OwnRule, OutletRule))}


@pytest.mark.parametrize("endpoint", sorted(REQUESTS))
def test_team_reaches_only_what_is_its_own_granted_or_shared(execution_api: ExecutionApi, endpoint: str):
    codes = tuple(send(execution_api, endpoint, "alpha", target) for target in TARGETS)
    assert codes == STATUS_CODES[endpoint]


@pytest.mark.parametrize("endpoint", sorted(set(REQUESTS) - OWN_ENDPOINTS))
def test_dag_of_no_team_reaches_only_what_is_shared(execution_api: ExecutionApi, endpoint: str):
    codes = [send(execution_api, endpoint, "common", target) for target in TARGETS]
    shared = STATUS_CODES[endpoint][3]
    assert codes == ([shared] * 4 if endpoint == "get_variable_keys" else [403, 403, 403, shared])


@pytest.mark.parametrize("endpoint", sorted(REQUESTS))
def test_without_isolation_everything_is_as_in_airflow(
    execution_api: ExecutionApi, publish_isolation: PublishIsolation, endpoint: str
):
    publish_isolation({"enabled": False})
    codes = [send(execution_api, endpoint, "alpha", target) for target in TARGETS]
    own, *others = STATUS_CODES[endpoint]
    assert codes == ([own, *others] if endpoint in OWN_ENDPOINTS else [own] * 4)


def test_every_route_of_every_api_version_has_the_guard_and_a_rule(execution_api: ExecutionApi):
    execution_api.client.get("/health")  # Cadwyn creates the versions at the first request
    app: Any = execution_api.client.app
    routes = {
        (version, route.name): [
            getattr(each.dependency, "_original_callable", each.dependency) for each in route.dependencies
        ]
        for version, router in app.router.versioned_routers.items()
        for route in router.routes
        if isinstance(route, APIRoute) and route.name not in UNAUTHENTICATED
    }
    assert len({version for version, _ in routes}) == len(list(bundle.versions))
    assert {name for _, name in routes} == set(RULES)
    assert [key for key, dependencies in routes.items() if refuse_foreign_access not in dependencies] == []


def test_endpoint_without_a_rule_is_refused(execution_api: ExecutionApi, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(guarded_request, "RULES", {})
    response = execution_api.request_as("alpha", "GET", "/variables/alpha_key")
    assert (response.status_code, response.json()["detail"]) == (
        403,
        "The request 'get_variable' is refused: the guard of the Execution API has no rule for it. Upgrade the package "
        "kpo-platform to a version for this Airflow.",
    )


@pytest.mark.parametrize("version", [version.value for version in bundle.versions])
def test_every_api_version_is_guarded(execution_api: ExecutionApi, version: str):
    headers = {"Airflow-API-Version": version}
    paths = ("/connections/beta_db", "/variables/beta_key", f"/dag-runs/beta_dag/{RUN_ID}/state", XCOM.format(x="beta"))
    codes = [execution_api.request_as("alpha", "GET", path, headers=headers).status_code for path in paths]
    own = execution_api.request_as("alpha", "GET", "/variables/alpha_key", headers=headers).status_code
    assert (codes, own) == ([403] * 4, 200)
