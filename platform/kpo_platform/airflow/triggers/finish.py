"""Finish a task in the triggerer: what a worker would do after the success of a pod, if that needs no worker."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from airflow.observability import stats
from airflow.providers.cncf.kubernetes.utils.pod_manager import _parse_log_level, is_log_group_marker
from airflow.sdk.bases.xcom import BaseXCom

from kpo_platform.airflow.api_errors import describe_error
from kpo_platform.airflow.triggers.pod_requests import PodRequests
from kpo_platform.pod.cluster_text import sanitize
from kpo_platform.pod.json_fields import read_object, read_texts
from kpo_platform.pod.log_lines import LineSplitter, LogCursor, LogLine, LogPosition, Novelty, parse_line
from kpo_platform.pod.message_result import count_bytes
from kpo_platform.pod.state import PodState

LARGEST_LOG = 256 * 1024
"""The largest rest of a task's logs in bytes that the triggerer writes: its event loop writes for all teams."""

_LINES_AT_ONCE = 50

_LONGEST_READ_S = 10.0

_AT_ONCE = 8
"""So many tasks of an event loop are finished at the same time."""

_LIMITS: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


class _WorkerNeededError(Exception):
    """A worker must finish the task; its text says why."""


@dataclass(frozen=True)
class FinishPlan:
    """What is left to do after the success of a pod.

    Attributes:
        positions: the containers whose logs are wanted, each with what has been written before.
        has_result: whether the pod's message is the task's result.
        has_prefix: whether a line starts with its container's name.
        links: further XComs: the links of the task's page.
    """

    positions: Mapping[str, LogPosition | None]
    has_result: bool = False
    has_prefix: bool = True
    links: Mapping[str, str] = field(default_factory=dict)

    def serialize(self) -> dict[str, Any]:
        """Return the plan as JSON."""
        positions = {name: position and asdict(position) for name, position in self.positions.items()}
        flags = {"has_result": self.has_result, "has_prefix": self.has_prefix}
        return {"positions": positions, **flags, "links": dict(self.links)}

    @classmethod
    def parse(cls, stored: Any) -> FinishPlan | None:
        """Return the plan of an earlier or later release of this class; None if it is not one."""
        fields = read_object(stored)
        positions = read_object(fields.get("positions"))
        try:
            parsed = {name: LogPosition(**position) if position else None for name, position in positions.items()}
        except TypeError:
            return None
        if "positions" not in fields:
            return None
        has_result, has_prefix = (fields.get(name) is True for name in ("has_result", "has_prefix"))
        return cls(parsed, has_result, has_prefix, read_texts(fields.get("links")))


@dataclass(frozen=True)
class FinishedTask:
    """The task whose pod has succeeded.

    Attributes:
        instance: its task instance: the ids.
        log: its log.
        read_state: asks Airflow for its state.
    """

    instance: Any
    log: Any
    read_state: Callable[[], Awaitable[str | None]]

    @property
    def ids(self) -> dict[str, Any]:
        """The ids by which Airflow knows the task."""
        return {name: getattr(self.instance, name) for name in ("dag_id", "task_id", "run_id", "map_index")}


async def finish(plan: FinishPlan, requests: PodRequests, pod: PodState, container: str, task: FinishedTask) -> bool:
    """Write the rest of the pod's logs and store the XComs of its task; False if a worker must finish the task.

    Nothing is stored or written before everything is known; then the task's log says why a worker finishes it.
    """
    async with _limit_to_some():
        try:
            result = _read_result(pod, container) if plan.has_result else None
            async with asyncio.timeout(_LONGEST_READ_S):
                logs = await _read_logs(plan, requests, pod)
            has_lines = any(logs.values())
            if has_lines and await task.read_state() != "deferred":
                return True  # another triggerer was faster; Airflow ignores the event of this one
            await _store_xcoms(task, {**({} if result is None else {"return_value": result}), **plan.links})
        except _WorkerNeededError as error:
            task.log.info("A worker finishes the task: %s.", error)
            return False
        except TimeoutError:  # the kubelet of one node must not hold up the tasks of others
            task.log.info("A worker finishes the task: the log was not read within %g s.", _LONGEST_READ_S)
            return False
        except Exception as error:
            task.log.info("A worker finishes the task: %s.", describe_error(error))
            return False
        for name, lines in logs.items():
            await _write(task.log, f"[{name}] " if plan.has_prefix else "", lines)
        if plan.has_result:
            task.log.info("The result has %d bytes.", count_bytes(pod.container(container).result or ""))
        _count_success(task)
        return True


def _limit_to_some() -> asyncio.Semaphore:
    """Return the event loop's limit: the ends of a large mapped task must not hold up the other triggers."""
    return _LIMITS.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(_AT_ONCE))


def _read_result(pod: PodState, container: str) -> Any:
    message = pod.container(container).result
    if message is None or count_bytes(message) >= pod.result_limit:
        raise _WorkerNeededError("the result is missing or incomplete")
    try:
        value = json.loads(message)
        text = json.dumps(value, allow_nan=False)
    except (ValueError, RecursionError):
        raise _WorkerNeededError("the result is not JSON") from None
    if "\\u0000" in text:  # a worker says that PostgreSQL cannot store a null character
        raise _WorkerNeededError("the result has a null character")
    return value


async def _store_xcoms(task: FinishedTask, xcoms: Mapping[str, Any]) -> None:
    """Store XComs as a worker does.

    Those of ``TaskSuccessEvent`` are stored as JSON in a string, which is what downstream tasks would get (3.3,
    models/xcom.py, ``set``).
    """
    for key, value in xcoms.items():
        try:
            await BaseXCom.aset(key, value, **task.ids)
        except Exception as error:
            raise _WorkerNeededError(f"XCom {key} cannot be stored ({type(error).__name__})") from error


def _count_success(task: FinishedTask) -> None:
    """Send the metrics that a worker sends of a success (3.3, task_runner.py), which alerts and dashboards read."""
    tags = {"dag_id": task.instance.dag_id, "task_id": task.instance.task_id}
    stats.incr("ti_successes", tags=tags)
    stats.incr("ti.finish", tags={**tags, "state": "success"})


async def _read_logs(plan: FinishPlan, requests: PodRequests, pod: PodState) -> dict[str, list[LogLine]]:
    """Read the rest of all logs, together not more than `LARGEST_LOG`."""
    if unknown := plan.positions.keys() - {each.name for each in pod.containers}:
        raise _WorkerNeededError(f"the state of container {sanitize(min(unknown))} is not known")
    logs: dict[str, list[LogLine]] = {}
    left = LARGEST_LOG
    for name, position in plan.positions.items():
        logs[name], size = await _read_rest(requests, pod.name, name, position, left)
        left -= size
    return logs


async def _read_rest(
    requests: PodRequests, pod: str, container: str, position: LogPosition | None, limit: int
) -> tuple[list[LogLine], int]:
    """Read the lines of an ended container that have not been written, prove that they are all, and count the bytes."""
    cursor, splitter = LogCursor(position), LineSplitter()
    since = {"sinceTime": cursor.since} if cursor.since else {}
    body = await requests.read_log(pod, container, limitBytes=str(limit), **since)
    if len(body) >= limit:
        raise _WorkerNeededError(f"the rest of the log has {LARGEST_LOG // 1024} KiB or more")
    cursor.begin_read()
    lines = []
    for number, raw in enumerate(splitter.feed(body), 1):
        if number % _LINES_AT_ONCE == 0:
            await asyncio.sleep(0)
        line = parse_line(raw)
        novelty = None if line is None else cursor.accept(line)
        if line is None or novelty is Novelty.NEW_AFTER_GAP:
            raise _WorkerNeededError("the log may have a gap")
        if novelty is Novelty.NEW:
            lines.append(line)
    tail = await requests.read_log(pod, container, tailLines=str(cursor.tail_lines))
    if splitter.rest or not cursor.is_at_end(tail, b""):
        raise _WorkerNeededError("the log may be incomplete")
    return lines, len(body)


async def _write(log: Any, prefix: str, lines: list[LogLine]) -> None:
    """Write lines as a worker does, and let other triggers run meanwhile."""
    for number, line in enumerate(lines, 1):
        if line.text:
            text = line.text if is_log_group_marker(line.text) else f"{prefix}{line.text}"
            log.log(_parse_log_level(line.text), "%s", text)
        if number % _LINES_AT_ONCE == 0:
            await asyncio.sleep(0)
