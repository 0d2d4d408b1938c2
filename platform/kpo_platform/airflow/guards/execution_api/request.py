"""The dependency of every authenticated route: judge the request of a task before its endpoint runs."""

from __future__ import annotations

from functools import cache
from uuid import UUID

import structlog
from airflow.api_fastapi.execution_api.datamodels.token import TIToken
from airflow.api_fastapi.execution_api.security import _REQUEST_SCOPE_TOKEN_KEY, _jwt_bearer
from airflow.configuration import conf
from fastapi import HTTPException, Request, status

from kpo_platform.airflow.guards.contract_file import read_contract
from kpo_platform.airflow.guards.execution_api import lookup
from kpo_platform.airflow.guards.execution_api.judgement import (
    UNKNOWN_TASK,
    Asker,
    describe_unknown_endpoint,
    judge_asset,
    judge_dag,
    judge_name,
)
from kpo_platform.airflow.guards.execution_api.lookup import TimedCache, read_in_thread
from kpo_platform.airflow.guards.execution_api.rules import (
    RULES,
    AssetRule,
    DagRule,
    KeysRule,
    NameRule,
    OutletRule,
    OwnRule,
    Rule,
)
from kpo_platform.airflow.guards.execution_api.variable_keys import READER
from kpo_platform.airflow.guards.origin import CONFLICT_FIX, TaskOrigin
from kpo_platform.airflow.guards.task_origins import read_dag_origins, read_task_origin

log = structlog.get_logger(logger_name=__name__)

_JUDGED = "kpo_platform_judged"
_FALSE = frozenset({"", "0", "false", "f", "no", "n", "off"})
_tasks = TimedCache(read_task_origin)
_dags = TimedCache(read_dag_origins)
_assets = TimedCache(lookup.read_referred_assets)


@cache
def get_remote_log_conn_id() -> str | None:
    """Return Airflow's connection for remote logs; None if it has none."""
    return conf.get("logging", "remote_log_conn_id", fallback="") or None


async def refuse_foreign_access(request: Request) -> None:
    """Refuse the request if the task's team may not do it.

    The check of the token runs before this dependency and leaves the token in the request's scope (3.3, security.py).
    The API of the DAG processor and the triggerer runs in their own process and has no tokens: it replaces that check
    (`InProcessExecutionAPI`), and nothing is judged. Cadwyn resolves dependencies twice; the second time nothing is
    judged again.

    Raises:
        HTTPException: 403 with a sentence for the task's log.
    """
    if request.scope.get(_JUDGED) or _jwt_bearer in request.app.dependency_overrides:
        return
    endpoint = request.scope["route"].name
    rule = RULES.get(endpoint)
    if not isinstance(rule, OwnRule):
        token: TIToken = request.scope[_REQUEST_SCOPE_TOKEN_KEY]
        refusal = await _judge(rule, endpoint, request, token.id)
        if refusal is not None:
            log.warning("Refused a task's request", reason=refusal, task_instance_id=str(token.id))
            raise HTTPException(status.HTTP_403_FORBIDDEN, detail=refusal)
    request.scope[_JUDGED] = True


async def _judge(rule: Rule | None, endpoint: str, request: Request, token_id: UUID) -> str | None:
    contract = read_contract()
    if not contract.isolation.enabled:
        return None
    origin = await _tasks.get(token_id)
    if origin is None:
        return UNKNOWN_TASK
    if conflict := origin.find_conflict(contract):
        return f"{conflict}. {CONFLICT_FIX}"
    asker = Asker(origin.dag.find_team(contract), contract, get_remote_log_conn_id())
    match rule:
        case NameRule():
            return judge_name(asker, rule, request.path_params[rule.parameter])
        case DagRule():
            return await _judge_dag(rule, request, asker, origin)
        case AssetRule():
            return await _judge_assets(rule, request, asker)
        case OutletRule():
            outlets = await read_in_thread(lookup.read_outlets, token_id)
            return next(filter(None, (judge_asset(asker, *outlet, "write") for outlet in outlets)), None)
        case KeysRule():
            READER.set(asker)
            return None
    return describe_unknown_endpoint(endpoint)


async def _judge_dag(rule: DagRule, request: Request, asker: Asker, origin: TaskOrigin) -> str | None:
    """Judge a request about a DAG, without a query for the task's own run."""
    dag_id = request.path_params.get("dag_id", request.query_params.get("dag_id"))
    run_id = request.path_params.get("run_id") if rule.scope == "run" else None
    history = rule.scope == "history" or request.query_params.get("include_prior_dates", "").lower() not in _FALSE
    if dag_id is None:
        return None  # Airflow answers 422
    if (dag_id, run_id) == (origin.dag_id, origin.run_id) and not history:
        origins = frozenset({origin.dag})
    else:
        origins = await _dags.get((dag_id, run_id, history)) or frozenset()
    return judge_dag(asker, rule, dag_id, [each.find_team(asker.contract) for each in origins])


async def _judge_assets(rule: AssetRule, request: Request, asker: Asker) -> str | None:
    """Judge the asset or alias that the query names, and every asset that this name or URI refers to."""
    name, uri, alias = (
        request.query_params.get(parameter) if parameter else None for parameter in (rule.name, rule.uri, rule.alias)
    )
    assets = [(name or alias, uri), *(await _assets.get((name, uri, alias)) or ())]
    return next(filter(None, (judge_asset(asker, *asset, rule.access) for asset in assets)), None)
