"""triggers.informer_metrics: what Airflow's metrics tell of an informer."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from kpo_platform.airflow.triggers import informer_metrics
from kpo_platform.airflow.triggers.informer_metrics import report_metrics


def test_metrics_tell_what_the_informer_serves_and_costs(monkeypatch: pytest.MonkeyPatch):
    sent: list[tuple[str, float]] = []

    def send(name: str, value: float, *, tags: dict[str, str]) -> None:
        assert tags == {"pod_namespace": "n"}
        sent.append((name.removeprefix("kpo_platform.informer."), value))

    monkeypatch.setattr(informer_metrics, "stats", SimpleNamespace(gauge=send, incr=send))
    monkeypatch.setattr(informer_metrics, "_INTERVAL_S", 0)
    informer: Any = SimpleNamespace(pods=5, waiting=3, interrupted_since_s=0.0, events=7, lists=1)

    async def run() -> None:
        task = asyncio.create_task(report_metrics(informer, "n"))
        await asyncio.sleep(0)
        informer.events, informer.interrupted_since_s = 9, 4.0
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()

    asyncio.run(run())
    assert sent[:10] == [
        *(("pods", 5), ("waiting_tasks", 3), ("interrupted_seconds", 0.0), ("events", 7), ("lists", 1)),
        *(("pods", 5), ("waiting_tasks", 3), ("interrupted_seconds", 4.0), ("events", 2), ("lists", 0)),
    ]
    assert sent[-3:] == [("pods", 0), ("waiting_tasks", 0), ("interrupted_seconds", 0)]
