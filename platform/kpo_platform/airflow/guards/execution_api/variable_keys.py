"""Leave the keys of other teams' variables out of the list of all keys."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from airflow.api_fastapi.execution_api.datamodels.variable import VariableKeysResponse

from kpo_platform.airflow.guards.execution_api.judgement import Asker

READER: ContextVar[Asker | None] = ContextVar("kpo_platform_reader", default=None)
"""The task whose request is being answered; None if no task asks, such as in the DAG processor."""

_PAGE = 10_000
_MARK = "kpo_platform_lists_readable_keys"


def list_readable_keys(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap Airflow's endpoint ``get_variable_keys`` (3.3, routes/variables.py) so that it filters and counts again."""
    if hasattr(endpoint, _MARK):
        return endpoint

    @functools.wraps(endpoint)
    def get_readable_keys(*, limit: int, offset: int, **arguments: Any) -> VariableKeysResponse:
        reader = READER.get()
        if reader is None:
            return endpoint(limit=limit, offset=offset, **arguments)  # type: ignore[no-any-return]
        readable = [
            key
            for key in _read_all_keys(endpoint, arguments)
            if reader.find_owners("variable", key).allow(reader.team, "read")
        ]
        return VariableKeysResponse(keys=readable[offset : offset + limit], total_entries=len(readable))

    setattr(get_readable_keys, _MARK, True)
    return get_readable_keys


def _read_all_keys(endpoint: Callable[..., Any], arguments: dict[str, Any]) -> list[str]:
    keys: list[str] = []
    while True:
        page = endpoint(limit=_PAGE, offset=len(keys), **arguments)
        keys += page.keys
        if len(keys) >= page.total_entries or not page.keys:
            return keys
