"""Airflow's pools on the stack."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from stack.airflow_api import AirflowApi


@contextmanager
def changed_slots(airflow: AirflowApi, pool: str, slots: int) -> Iterator[None]:
    """Give a pool another number of slots for the block."""
    before: dict[str, Any] = airflow.get(f"pools/{pool}")
    try:
        _write_slots(airflow, before, slots)
        yield
    finally:
        _write_slots(airflow, before, before["slots"])


def _write_slots(airflow: AirflowApi, pool: dict[str, Any], slots: int) -> None:
    body = {"name": pool["name"], "include_deferred": pool["include_deferred"], "slots": slots}
    airflow.patch(f"pools/{pool['name']}?update_mask=slots", body)
