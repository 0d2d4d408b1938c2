"""Put the guard on the Execution API that Airflow's API server creates, in all its API versions.

Facts of Airflow 3.3: the API server (api_fastapi/app.py) calls `create_task_execution_api_app` without arguments, with
and without ``--apps execution``. The DAG processor, the triggerer and ``airflow dags test`` create one for themselves
with a lifespan of their own (`InProcessExecutionAPI`); it has no tokens. Dependencies of the routes of
`execution_api_router` reach every API version, which Airflow uses itself (`_inject_trace_context_dep`).
"""

from __future__ import annotations

import functools
import logging
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from kpo_platform.airflow.guards.contract_file import read_contract
from kpo_platform.errors import ContractError, PlatformError

log = logging.getLogger(__name__)

_FACTORY = "create_task_execution_api_app"
_API_SERVER_MODULE = "airflow.api_fastapi.main"
_MARK = "kpo_platform_guards"
_SUPPORTED = (3, 3)
_UPGRADE = "Upgrade the package kpo-platform to a version for this Airflow, or set isolation.enabled to false."


class GuardError(PlatformError):
    """The guard cannot protect this Airflow."""


def guard_execution_api() -> None:
    """Replace Airflow's factory of the Execution API by one that adds the guard.

    The factory ends the API server with a sentence if the guard cannot be added. Other processes continue.
    """
    module = sys.modules["airflow.api_fastapi.execution_api.app"]
    factory = getattr(module, _FACTORY, None)
    if factory is None:
        _handle_failure(GuardError(f"Airflow has no {_FACTORY}. {_UPGRADE}"), _is_api_server())
        return
    if hasattr(factory, _MARK):
        return

    @functools.wraps(factory)
    def create_guarded_app(*args: Any, **kwargs: Any) -> Any:
        serves_tokens = _is_api_server() or (not args and not kwargs)
        return _create_guarded_app(functools.partial(factory, *args, **kwargs), serves_tokens)

    setattr(create_guarded_app, _MARK, True)
    setattr(module, _FACTORY, create_guarded_app)
    importer = sys.modules.get("airflow.api_fastapi.app")
    if getattr(importer, _FACTORY, None) is factory:
        setattr(importer, _FACTORY, create_guarded_app)


def _is_api_server() -> bool:
    return sys.argv[1:2] == ["api-server"] or _API_SERVER_MODULE in sys.modules


def _create_guarded_app(create_app: Callable[[], Any], serves_tokens: bool) -> Any:
    """Create the application with the guard, or without it if it has no tokens or the guard is switched off."""
    try:
        add_guard()
    except Exception as error:
        _handle_failure(error, serves_tokens)
        return create_app()
    app = create_app()
    try:
        check_guard(app)
    except Exception as error:
        _handle_failure(error, serves_tokens)
    return app


def _handle_failure(error: Exception, serves_tokens: bool) -> None:
    sentence = f"The guard of the Execution API cannot start: {error}"
    if serves_tokens and not _is_disabled():
        _stop_parent_server()
        raise SystemExit(sentence) from error
    log.error("%s The Execution API of this process runs without it.", sentence)


def _stop_parent_server() -> None:
    """Stop the parent of several worker processes (``airflow api-server --workers``), which would restart them."""
    parent = multiprocessing.parent_process()
    if parent is not None and parent.pid is not None and _is_api_server():
        os.kill(parent.pid, signal.SIGTERM)


def _is_disabled() -> bool:
    try:
        return not read_contract().isolation.enabled
    except ContractError:
        return False


def add_guard() -> None:
    """Add the guard to the routes of which Airflow makes the application.

    Raises:
        GuardError: the installed Airflow is not supported.
        ContractError: the contract cannot be read.
        ImportError: Airflow does not have the names that the guard uses.
    """
    from airflow import __version__

    if tuple(int(part) for part in __version__.split(".")[:2]) != _SUPPORTED:
        raise GuardError(f"Airflow {__version__} is installed, but the guard supports 3.3. {_UPGRADE}")
    read_contract()
    from airflow.api_fastapi.execution_api.routes import execution_api_router
    from airflow.api_fastapi.execution_api.versions.v2026_04_06 import ModifyDeferredTaskKwargsToJsonValue
    from airflow.models import trigger

    from kpo_platform.airflow.guards.execution_api.asset_events import guard_asset_events
    from kpo_platform.airflow.guards.execution_api.request import get_remote_log_conn_id
    from kpo_platform.airflow.guards.execution_api.variable_keys import list_readable_keys
    from kpo_platform.airflow.guards.triggers.next_arguments import guard_conversion, guard_next_arguments

    for route in find_authenticated_routes(execution_api_router.routes):
        _add_dependency(route)
        if route.name == "get_variable_keys":
            route.endpoint = list_readable_keys(route.endpoint)
    guard_asset_events(get_remote_log_conn_id())
    guard_next_arguments(trigger)
    guard_conversion(ModifyDeferredTaskKwargsToJsonValue.convert_next_kwargs_to_base_serialization)


def check_guard(app: Any) -> None:
    """Check that the guard is on the routes of which the application makes its API versions.

    Raises:
        GuardError: it is not, because Airflow or FastAPI builds its routes in another way than expected.
    """
    from kpo_platform.airflow.guards.execution_api.request import refuse_foreign_access

    routes = find_authenticated_routes(app._latest_version_router.routes)
    unguarded = [
        route.name
        for route in routes
        if refuse_foreign_access not in [each.call for each in route.dependant.dependencies]
    ]
    if unguarded or not routes:
        raise GuardError(
            f"it is not on the routes {', '.join(unguarded) or 'of Airflow'}. "
            "Install the versions of Airflow and FastAPI that Airflow's constraints name."
        )


def find_authenticated_routes(routes: Any) -> list[Any]:
    """Find the routes that need a token, as Airflow itself does."""
    from airflow.api_fastapi.execution_api.security import require_auth
    from fastapi.routing import APIRoute

    return [
        route
        for route in routes
        if isinstance(route, APIRoute)
        and any(getattr(each, "dependency", None) is require_auth for each in route.dependencies)
    ]


def _add_dependency(route: Any) -> None:
    """Let the guard run after the check of the token, once however often Airflow creates an application."""
    from fastapi import Depends

    from kpo_platform.airflow.guards.execution_api.request import refuse_foreign_access

    if all(getattr(each, "dependency", None) is not refuse_foreign_access for each in route.dependencies):
        route.dependencies.append(Depends(refuse_foreign_access))
