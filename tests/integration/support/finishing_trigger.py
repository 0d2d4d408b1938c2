"""A trigger whose task ends in the triggerer, as that of a pod does, with a log of so many lines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TaskSuccessEvent, TriggerEvent

from kpo_platform.airflow.triggers.finish import FinishedTask, FinishPlan, finish
from kpo_platform.pod.state import parse_pod_state
from unit.support.informer_scene import build_ended
from unit.support.numbered_log import NumberedLog


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
        requests: Any = NumberedLog(self.lines)
        task = FinishedTask(self.task_instance, self.log, lambda: asyncio.sleep(0, "deferred"))
        if await finish(FinishPlan({"base": None}), requests, parse_pod_state(build_ended("a")), "base", task):
            yield TaskSuccessEvent()
