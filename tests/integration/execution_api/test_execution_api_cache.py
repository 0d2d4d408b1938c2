"""What the guard of the Execution API keeps in memory: tasks choose the keys, and must not fill it."""

from __future__ import annotations

from integration.support.execution_api import ExecutionApi
from integration.support.isolation_database import RUN_ID
from kpo_platform.airflow.guards.execution_api import request as guarded_request

LONG = "x" * 60_000


def test_only_results_of_known_and_short_keys_are_kept(execution_api: ExecutionApi):
    requests = {
        f"/dag-runs/alpha_dag/{RUN_ID}2/state": 404,
        "/dags/unknown_dag": 404,
        f"/dag-runs/count?dag_id={LONG}": 200,
        f"/dag-runs/alpha_dag/{LONG}/state": 404,
        f"/dag-runs/beta_dag/{LONG}/state": 403,
        "/assets/by-name?name=alpha_asset": 200,
        f"/assets/by-name?name={LONG}": 404,
        "/assets/by-uri?uri=unknown": 404,
    }
    answers = {path: execution_api.request_as("alpha", "GET", path).status_code for path in requests}
    kept = [sorted(cache._results, key=str) for cache in (guarded_request._dags, guarded_request._assets)]
    assert (answers, kept) == (requests, [[("alpha_dag", f"{RUN_ID}2", False)], [("alpha_asset", None, None)]])
