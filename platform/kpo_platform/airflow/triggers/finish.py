"""Finish a task in the triggerer: what a worker would do after the success of a pod, if that needs no worker."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

from airflow.observability import stats
from airflow.providers.cncf.kubernetes.utils.pod_manager import _parse_log_level, is_log_group_marker
from airflow.sdk.bases.xcom import BaseXCom

from kpo_platform.airflow.api_errors import describe_error
from kpo_platform.airflow.triggers.log_channel import wait_until_read
from kpo_platform.airflow.triggers.pod_requests import PodRequests
from kpo_platform.pod.cluster_text import sanitize
from kpo_platform.pod.json_fields import read_object, read_text, read_texts
from kpo_platform.pod.log_lines import LineSplitter, LogCursor, LogLine, LogPosition, Novelty, parse_line
from kpo_platform.pod.message_result import count_bytes
from kpo_platform.pod.state import PodState

LARGEST_LOG = 64 * 1024
"""The largest rest of a task's logs in bytes that the triggerer writes: it writes for all teams (`log_channel`)."""

LONGEST_READ_S = 10.0

LONGEST_TURN_S = 30.0
"""How long a success may wait for its turn: less than what Airflow adds to the task's `execution_timeout` (60 s)."""

_LINES_AT_ONCE = 50

_LINK_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,249}")
_MOST_LINKS = 20


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
        operator: the name of the task's class, for metrics.
    """

    positions: Mapping[str, LogPosition | None]
    has_result: bool = False
    has_prefix: bool = True
    links: Mapping[str, str] = field(default_factory=dict)
    operator: str = ""

    def serialize(self) -> dict[str, Any]:
        """Return the plan as JSON."""
        positions = {name: position and asdict(position) for name, position in self.positions.items()}
        flags = {"has_result": self.has_result, "has_prefix": self.has_prefix}
        return {"positions": positions, **flags, "links": dict(self.links), "operator": self.operator}

    @classmethod
    def parse(cls, stored: Any) -> FinishPlan | None:
        """Return the plan of an earlier or later release of this class; None if it is not one.

        The keys of the links become part of a URL, unquoted (3.3, sdk/api/client.py, ``XComOperations.set``), and the
        triggerer may do what no task may. So a key that is not a plain name makes it no plan.
        """
        fields = read_object(stored)
        positions = read_object(fields.get("positions"))
        try:
            parsed = {name: LogPosition(**position) if position else None for name, position in positions.items()}
        except TypeError:
            return None
        links = read_texts(fields.get("links"))
        if "positions" not in fields or len(links) > _MOST_LINKS or not all(map(_LINK_KEY.fullmatch, links)):
            return None
        has_result, has_prefix = (fields.get(name) is True for name in ("has_result", "has_prefix"))
        return cls(parsed, has_result, has_prefix, links, read_text(fields.get("operator")))


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


class _Limits:
    """The limits of an event loop: the ends of a large mapped task must not hold up the other triggers.

    Attributes:
        reads: of tasks whose logs are read; the kubelet of one node must not hold up the tasks of others.
        ends: of tasks that are finished.
    """

    _of_loops: ClassVar[WeakKeyDictionary[asyncio.AbstractEventLoop, _Limits]] = WeakKeyDictionary()

    def __init__(self) -> None:
        self.reads, self.ends = asyncio.Semaphore(64), asyncio.Semaphore(8)

    @classmethod
    def of_this_loop(cls) -> _Limits:
        """Return the limits of the running event loop."""
        return cls._of_loops.setdefault(asyncio.get_running_loop(), cls())


async def finish(plan: FinishPlan, requests: PodRequests, pod: PodState, container: str, task: FinishedTask) -> bool:
    """Write the rest of the pod's logs and store the XComs of its task; False if a worker must finish the task.

    Nothing is stored or written before everything is known; then the task's log says why a worker finishes it.
    """
    limits = _Limits.of_this_loop()
    try:
        xcoms = {**_read_result(pod, container), **plan.links} if plan.has_result else dict(plan.links)
        _check_ids(task.ids)
        _check_storable(xcoms)
        async with _take_turn(limits.reads), _limit_to(LONGEST_READ_S, "the log was not read"):
            logs = await _read_logs(plan, requests, pod)
        async with _take_turn(limits.ends):
            return await _finish(plan, pod, container, task, xcoms, logs)
    except _WorkerNeededError as error:
        task.log.info("A worker finishes the task: %s.", error)
    except Exception as error:
        task.log.info("A worker finishes the task: %s.", describe_error(error))
    return False


@asynccontextmanager
async def _take_turn(limit: asyncio.Semaphore) -> AsyncIterator[None]:
    async with _limit_to(LONGEST_TURN_S, "too many tasks end, so that the triggerer did not come to it"):
        await limit.acquire()
    try:
        yield
    finally:
        limit.release()


@asynccontextmanager
async def _limit_to(longest_s: float, what: str) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(longest_s):
            yield
    except TimeoutError:
        raise _WorkerNeededError(f"{what} within {longest_s:g} s") from None


async def _finish(
    plan: FinishPlan,
    pod: PodState,
    container: str,
    task: FinishedTask,
    xcoms: Mapping[str, Any],
    logs: Mapping[str, list[LogLine]],
) -> bool:
    if await task.read_state() != "deferred":
        return True  # another triggerer was faster, or a user has ended the task; Airflow ignores this one's event
    await _store_xcoms(task, xcoms)
    for name, lines in logs.items():
        await _write(task.log, f"[{name}] " if plan.has_prefix else "", lines)
    if plan.has_result:
        task.log.info("The result has %d bytes.", count_bytes(pod.container(container).result or ""))
    await wait_until_read()
    _count_success(task, plan)
    return True


def _read_result(pod: PodState, container: str) -> dict[str, Any]:
    """Return the result as XCom; a result of null is none."""
    message = pod.container(container).result
    if message is None or count_bytes(message) >= pod.result_limit:
        raise _WorkerNeededError("the result is missing or incomplete")
    try:
        value = json.loads(message, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise _WorkerNeededError("the result is not JSON") from None
    return {} if value is None else {"return_value": value}


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _check_ids(ids: Mapping[str, Any]) -> None:
    """Refuse the ids that a URL takes for a step up (`FinishPlan.parse`), which Airflow allows as names of a DAG."""
    if any(not str(each).strip(".") for each in ids.values()):
        raise _WorkerNeededError("an id has no letter or digit")


def _check_storable(xcoms: Mapping[str, Any]) -> None:
    """Refuse what Airflow's API answers with an error, which it repeats for 11 seconds while all triggers wait."""
    for key, value in xcoms.items():
        try:
            text = json.dumps(value, allow_nan=False, ensure_ascii=False)
            text.encode()
        except (ValueError, RecursionError):
            raise _WorkerNeededError(f"XCom {key} cannot be stored") from None
        if "\\u0000" in text:  # a worker says that PostgreSQL cannot store a null character
            raise _WorkerNeededError(f"XCom {key} has a null character")


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


def _count_success(task: FinishedTask, plan: FinishPlan) -> None:
    """Send the counters that a worker sends of a success (3.3, task_runner.py), which alerts and dashboards read."""
    tags = {"dag_id": task.instance.dag_id, "task_id": task.instance.task_id}
    stats.incr("operator_successes", tags={**tags, "operator_name": plan.operator})
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
    """Write lines as a worker does, never more than the main process reads."""
    for first in range(0, len(lines), _LINES_AT_ONCE):
        await wait_until_read()
        for line in lines[first : first + _LINES_AT_ONCE]:
            if line.text:
                text = line.text if is_log_group_marker(line.text) else f"{prefix}{line.text}"
                log.log(_parse_log_level(line.text), "%s", text)
