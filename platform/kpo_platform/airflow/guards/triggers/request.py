"""The request to run a trigger, and what a judgement needs to know besides it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kpo_platform.contract import Contract
from kpo_platform.errors import PlatformError

FindDagTeams = Callable[[str], frozenset[str | None]]
"""Finds the teams that own a DAG, or own versions of it; None stands for no team. Empty if Airflow has no such DAG."""


@dataclass(frozen=True)
class TriggerRequest:
    """A stored trigger.

    Attributes:
        class_path: the path of its class, as the task named it.
        arguments: the arguments as parsed from JSON, not deserialized.
        team: the team of the task; None for a DAG of no team, a callback or an asset watcher.
        task_instance_id: the id of the task instance; None for a callback or an asset watcher.
    """

    class_path: str
    arguments: Any
    team: str | None = None
    task_instance_id: str | None = None


@dataclass(frozen=True)
class Scope:
    """What the arguments of a default trigger are compared with."""

    request: TriggerRequest
    contract: Contract
    find_dag_teams: FindDagTeams


class TriggerRefusedError(PlatformError):
    """A trigger, or one of its arguments, is refused.

    Args:
        cause: the refused value, as the part of a sentence after a colon.
        fix: what to do, as a sentence; by default the value that allows the trigger.
    """

    def __init__(self, cause: str, fix: str = "") -> None:
        super().__init__(cause)
        self.fix = fix
