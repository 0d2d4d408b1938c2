"""Read the current try of a task from Airflow's context."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from kpo_platform.pod.identity import TaskRun

if TYPE_CHECKING:
    from airflow.sdk import Context


def read_task_run(context: Context) -> TaskRun:
    """Read the try of this context, with its trace.

    Airflow 3.3 gives every try a span (``context_carrier``), even if nothing is exported; it is the current one in a
    task's process.
    """
    ti = context["ti"]
    return TaskRun(
        dag_id=ti.dag_id,
        run_id=str(context["run_id"]),
        task_id=ti.task_id,
        map_index=-1 if ti.map_index is None else ti.map_index,
        try_number=ti.try_number,
        owner=str(getattr(context.get("task"), "owner", "")),
        traceparent=_read_traceparent() or dict(getattr(ti, "context_carrier", None) or {}).get("traceparent", ""),
    )


def _read_traceparent() -> str:
    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get("traceparent", "")
