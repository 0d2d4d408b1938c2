"""A trigger whose task ends in the triggerer, as that of a pod does, with a log of so many lines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

from airflow.triggers.base import BaseTrigger, TaskSuccessEvent, TriggerEvent

from kpo_platform.airflow.triggers.finish import FinishedTask, FinishPlan, finish
from kpo_platform.pod.state import parse_pod_state
from unit.support.informer_scene import build_ended


class FinishingTrigger(BaseTrigger):
    """Writes lines, and ends its task at once.

    Args:
        lines: how many lines the pod's log has.
    """

    def __init__(self, lines: int) -> None:
        super().__init__()
        self.lines = lines

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and its argument."""
        return f"{__name__}.{type(self).__name__}", {"lines": self.lines}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Do what is left to do after the success of a pod."""
        requests: Any = SimpleNamespace(read_log=self._read_log)
        task = FinishedTask(self.task_instance, self.log, lambda: asyncio.sleep(0, "deferred"))
        if await finish(FinishPlan({"base": None}), requests, parse_pod_state(build_ended("a")), "base", task):
            yield TaskSuccessEvent()

    async def _read_log(self, *_: Any, **query: str) -> bytes:
        lines = [b"2026-11-30T09:00:06.%09dZ line\n" % number for number in range(self.lines)]
        return b"".join(lines[-int(query.get("tailLines", self.lines)) :])
