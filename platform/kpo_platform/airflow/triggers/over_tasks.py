"""Ask Airflow which tasks are over, with few requests: the triggerer's main process answers one after the other."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from typing import Any
from urllib.parse import quote

from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
from asgiref.sync import sync_to_async

from kpo_platform.pod.task_mark import MarkedTask

OVER = frozenset({"success", "failed", "skipped", "removed", "upstream_failed"})
"""Airflow's states of a task that is over."""

_LONGEST_QUERY = 30_000
"""Characters of names in the address of a request: httpx refuses one of more than 65,536."""

_MAPPED_NAME = re.compile(r"(.+)_\d+")


async def find_tasks_that_are_over(tasks: Iterable[MarkedTask]) -> set[MarkedTask]:
    """Ask for the states of tasks; one that Airflow does not know is not over: the database may be restored.

    Raises:
        Exception: Airflow does not tell them.
    """
    of_runs: defaultdict[tuple[str, str], list[MarkedTask]] = defaultdict(list)
    for task in tasks:
        of_runs[task.dag_id, task.run_id].append(task)
    over: set[MarkedTask] = set()
    for (dag_id, run_id), of_run in of_runs.items():
        for task_ids in _split({task.task_id for task in of_run}):
            answer: dict[str, Any] = await sync_to_async(RuntimeTaskInstance.get_task_states)(
                dag_id=dag_id, task_ids=task_ids, run_ids=[run_id]
            )
            states = answer.get(run_id) or {}
            asked = set(task_ids)
            over |= {task for task in of_run if task.task_id in asked and _is_over(states.get(_name(task)))}
    return over


def _split(task_ids: Collection[str]) -> Iterator[list[str]]:
    """Split the tasks of a run into requests whose answers are clear.

    An answer names instance 1 of the mapped task ``load`` as it names a task ``load_1``.
    """
    alike = {each for each in task_ids if (found := _MAPPED_NAME.fullmatch(each)) and found[1] in task_ids}
    part, size = list[str](), 0
    for task_id in sorted(set(task_ids) - alike):
        length = len(quote(task_id)) + len("&task_ids=")
        if part and size + length > _LONGEST_QUERY:
            yield part
            part, size = [], 0
        part.append(task_id)
        size += length
    if part:
        yield part
    yield from ([each] for each in sorted(alike))


def _name(task: MarkedTask) -> str:
    return task.task_id if task.map_index < 0 else f"{task.task_id}_{task.map_index}"


def _is_over(state: Any) -> bool:
    return str(getattr(state, "value", state)) in OVER
