"""The try that is running, read from Airflow's context."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from kpo_platform.pod.identity import TaskRun

if TYPE_CHECKING:
    from airflow.sdk import Context


def read_task_run(context: Context) -> TaskRun:
    """The try of this context, with the trace that Airflow has given it.

    Airflow 3.3 gives every run a trace and every try a span of it (``context_carrier``), also where nothing is
    exported; in a task's process the span is the current one.
    """
    ti = context["ti"]
    return TaskRun(
        dag_id=ti.dag_id,
        run_id=str(context["run_id"]),
        task_id=ti.task_id,
        map_index=-1 if ti.map_index is None else ti.map_index,
        try_number=ti.try_number,
        owner=str(getattr(context.get("task"), "owner", "")),
        traceparent=_current() or dict(getattr(ti, "context_carrier", None) or {}).get("traceparent", ""),
    )


def _current() -> str:
    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get("traceparent", "")
