"""End a task in the triggerer: what a worker would do after the success of a pod, if that needs no worker."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from airflow.providers.cncf.kubernetes.utils.pod_manager import _parse_log_level, is_log_group_marker

from kpo_platform.airflow.api_errors import describe_error
from kpo_platform.airflow.triggers.pod_requests import PodRequests
from kpo_platform.pod.json_fields import read_object, read_texts
from kpo_platform.pod.log_lines import LineSplitter, LogCursor, LogLine, LogPosition, Novelty, parse_line
from kpo_platform.pod.message_result import count_bytes
from kpo_platform.pod.state import PodState

LARGEST_LOG = 256 * 1024
"""The largest log in bytes that is written in the triggerer: its event loop writes for the tasks of all teams."""

_LINES_AT_ONCE = 50


class _WorkerNeededError(Exception):
    """A worker must end the task; its text says why."""


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


async def finish(
    plan: FinishPlan, requests: PodRequests, pod: PodState, container: str, log: Any
) -> dict[str, Any] | None:
    """Write the rest of the pod's logs, and return the XComs of its task; None if a worker must end the task.

    Nothing of the pod's logs is written before everything is known; then the task's log says why a worker ends it.
    """
    try:
        xcoms = _read_xcoms(pod, container) if plan.has_result else {}
        logs = {name: await _read_rest(requests, pod.name, name, each) for name, each in plan.positions.items()}
    except _WorkerNeededError as error:
        log.info("A worker ends the task: %s.", error)
        return None
    except Exception as error:
        log.info("A worker ends the task: %s.", describe_error(error))
        return None
    for name, lines in logs.items():
        await _write(log, f"[{name}] " if plan.has_prefix else "", lines)
    if plan.has_result:
        log.info("The result has %d bytes.", count_bytes(pod.container(container).result or ""))
    return {**xcoms, **plan.links}


def _read_xcoms(pod: PodState, container: str) -> dict[str, Any]:
    message = pod.container(container).result
    if message is None or count_bytes(message) >= pod.result_limit:
        raise _WorkerNeededError("its result is not whole")
    try:
        value = json.loads(message)
        text = json.dumps(value, allow_nan=False)
    except ValueError:
        raise _WorkerNeededError("its result is no JSON") from None
    if "\\u0000" in text:  # a worker says that PostgreSQL cannot store a null character
        raise _WorkerNeededError("its result has a null character")
    return {"return_value": value}


async def _read_rest(requests: PodRequests, pod: str, container: str, position: LogPosition | None) -> list[LogLine]:
    """Read the lines of an ended container that have not been written, and prove that they are all."""
    cursor, splitter = LogCursor(position), LineSplitter()
    since = {"sinceTime": cursor.since} if cursor.since else {}
    body = await requests.read_log(pod, container, limitBytes=str(LARGEST_LOG), **since)
    if len(body) >= LARGEST_LOG:
        raise _WorkerNeededError("its log is large")
    cursor.begin_read()
    lines = []
    for raw in splitter.feed(body):
        line = parse_line(raw)
        novelty = None if line is None else cursor.accept(line)
        if line is None or novelty is Novelty.NEW_AFTER_GAP:
            raise _WorkerNeededError("its log may have a gap")
        if novelty is Novelty.NEW:
            lines.append(line)
    tail = await requests.read_log(pod, container, tailLines=str(cursor.tail_lines))
    if splitter.rest or not cursor.is_at_end(tail, b""):
        raise _WorkerNeededError("its log may not be whole")
    return lines


async def _write(log: Any, prefix: str, lines: list[LogLine]) -> None:
    """Write lines as a worker does, and let other triggers run meanwhile."""
    for number, line in enumerate(lines, 1):
        if line.text:
            text = line.text if is_log_group_marker(line.text) else f"{prefix}{line.text}"
            log.log(_parse_log_level(line.text), "%s", text)
        if number % _LINES_AT_ONCE == 0:
            await asyncio.sleep(0)
