"""What Airflow's API tells a trigger of its task, and what a trigger stores there."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import GetTaskStates, GetXCom, SetXCom, TaskStatesResult, XComResult

NodeReason = Callable[[GetTaskStates], Any]


def build_instance(*, map_index: int = -1) -> SimpleNamespace:
    return SimpleNamespace(dag_id="d", run_id="r", task_id="work", map_index=map_index)


class TaskStates:
    """The supervisor of a triggerer.

    Attributes:
        state: the state of the task, or what is raised; ``"gone"`` if Airflow does not have the task.
        failures: how many requests of each kind get no answer first.
        requests: the names of the requests.
    """

    def __init__(self, state: Any = "deferred") -> None:
        self.state: Any = state
        self.failures: dict[str, int] = {}
        self.requests: list[str] = []
        self.xcoms: dict[str, Any] = {}

    def send(self, message: Any) -> Any:
        name = type(message).__name__
        self.requests.append(name)
        if self.failures.get(name):
            self.failures[name] -= 1
            raise OSError("no answer")
        if isinstance(message, GetTaskStates):
            return TaskStatesResult(task_states=self._tell(message))
        assert (message.dag_id, message.run_id, message.task_id) == ("d", "r", "work")
        if isinstance(message, GetXCom):
            return XComResult(key=message.key, value=self.xcoms.get(message.key))
        assert isinstance(message, SetXCom)
        self.xcoms[message.key] = message.value
        return None

    async def asend(self, message: Any) -> Any:
        return self.send(message)

    def _tell(self, message: GetTaskStates) -> Any:
        if isinstance(self.state, Exception):
            raise self.state
        assert (message.dag_id, message.run_ids, message.task_ids) == ("d", ["r"], ["work"])
        mapped = message.map_index is not None and message.map_index >= 0
        key = f"work_{message.map_index}" if mapped else "work"
        return {} if self.state == "gone" else {"r": {key: self.state}}


@pytest.fixture
def task_states(monkeypatch: pytest.MonkeyPatch) -> TaskStates:
    states = TaskStates()
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", states, raising=False)
    return states
