"""Airflow metrics of an informer: what it serves, what it costs, and whether it knows the state of its pods."""

from __future__ import annotations

import asyncio

from airflow.observability import stats

from kpo_platform.airflow.triggers.pod_informer import PodInformer

_INTERVAL_S = 15.0
_PREFIX = "kpo_platform.informer"


async def report_metrics(informer: PodInformer, namespace: str) -> None:
    """Send the metrics of an informer until the task is cancelled."""
    tags, events, lists = {"namespace": namespace}, 0, 0
    while True:
        stats.gauge(f"{_PREFIX}.pods", informer.pods, tags=tags)
        stats.gauge(f"{_PREFIX}.waiting_tasks", informer.waiting, tags=tags)
        stats.gauge(f"{_PREFIX}.interrupted_seconds", informer.interrupted_since_s, tags=tags)
        stats.incr(f"{_PREFIX}.events", informer.events - events, tags=tags)
        stats.incr(f"{_PREFIX}.lists", informer.lists - lists, tags=tags)
        events, lists = informer.events, informer.lists
        await asyncio.sleep(_INTERVAL_S)
