"""Airflow metrics of an informer: what it serves, what it costs, and whether it knows the state of its pods."""

from __future__ import annotations

import asyncio

from airflow.observability import stats

from kpo_platform.airflow.triggers.pod_informer import PodInformer

_INTERVAL_S = 15.0
_PREFIX = "kpo_platform.informer"


async def report_metrics(informer: PodInformer, namespace: str) -> None:
    """Send the metrics of an informer until the task is cancelled, and then zeros: a gauge keeps its last value."""
    # Not `namespace`: Prometheus has that label from the pod that it scrapes.
    tags, events, lists = {"pod_namespace": namespace}, 0, 0
    try:
        while True:
            _send_gauges(tags, informer.pods, informer.waiting, informer.interrupted_since_s)
            stats.incr(f"{_PREFIX}.events", informer.events - events, tags=tags)
            stats.incr(f"{_PREFIX}.lists", informer.lists - lists, tags=tags)
            events, lists = informer.events, informer.lists
            await asyncio.sleep(_INTERVAL_S)
    finally:
        _send_gauges(tags, 0, 0, 0)


def _send_gauges(tags: dict[str, str], pods: int, waiting_tasks: int, interrupted_s: float) -> None:
    stats.gauge(f"{_PREFIX}.pods", pods, tags=tags)
    stats.gauge(f"{_PREFIX}.waiting_tasks", waiting_tasks, tags=tags)
    stats.gauge(f"{_PREFIX}.interrupted_seconds", interrupted_s, tags=tags)
