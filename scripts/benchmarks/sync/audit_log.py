"""Requests of tasks in the audit log of the local cluster's API server, by account and by pod."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from benchmarks.sync.marks import parse_time

ACCOUNT = "system:serviceaccount:airflow:airflow-scheduler"
"""The account of the tasks with LocalExecutor."""

_STORAGE_LAG_S = 5.0


@dataclass(frozen=True)
class TaskPod:
    """A task and its pod, by which requests are attributed.

    Attributes:
        run: the run's id, a valid label.
        task: the task's id.
        pod: the pod's name.
    """

    run: str
    task: str
    pod: str

    def is_subject(self, name: str, uri: str) -> bool:
        """Return whether a request is about this pod: by name, by field selector, or by the labels of the task.

        Args:
            name: the name of the request's object; empty for a list.
            uri: the decoded URI.
        """
        words = uri.replace("?", "&").replace(",", "&").split("&")

        def is_selected(label: str) -> bool:
            return any(word == label or word.endswith(f"={label}") for word in words)

        is_named = name == self.pod or any(word.endswith(f".name={self.pod}") for word in words)
        return is_named or (is_selected(f"run_id={self.run}") and is_selected(f"task_id={self.task}"))


def count_requests(
    lines: Iterable[str], tasks: Sequence[TaskPod], start: float, account: str = ACCOUNT, end: float = math.inf
) -> tuple[list[Counter[str]], Counter[str]]:
    """Count an account's requests about each task's pod, and those about none of them.

    A request that takes long has a line when its answer begins and one when it ends; it counts once.

    Args:
        lines: lines of the audit log.
        tasks: the tasks.
        start: the time from which requests count.
        account: the account's name.
        end: the time until which they count.

    Returns:
        Per task the number of its requests, such as `get pods/log`, in the order of the tasks; and of the others.
    """
    counts: list[Counter[str]] = [Counter() for _ in tasks]
    others: Counter[str] = Counter()
    seen: set[str] = set()
    for event in _read_events(lines, account, start, end):
        if event["auditID"] not in seen:
            seen.add(event["auditID"])
            subject = event.get("objectRef", {}).get("name", "")
            uri = unquote(event["requestURI"])
            owners = [count for count, task in zip(counts, tasks, strict=True) if task.is_subject(subject, uri)]
            for count in owners or [others]:
                count[_describe_request(event)] += 1
    return counts, others


def read_audit_log(folder: Path, start: float) -> Iterator[str]:
    """Yield the lines of the audit log's files that were written since a time, also if the log has been rotated.

    Args:
        folder: the folder of the logs.
        start: seconds since 1970.
    """
    files = [file for file in folder.glob("audit*.log") if file.stat().st_mtime >= start - _STORAGE_LAG_S]
    for file in sorted(files, key=lambda file: file.stat().st_mtime):
        with file.open(encoding="utf-8", errors="replace") as lines:
            yield from lines


def _read_events(lines: Iterable[str], account: str, start: float, end: float) -> Iterator[dict[str, Any]]:
    for line in lines:
        if f'"{account}"' in line and line.endswith("}\n"):  # the last line may be in the making
            event = json.loads(line)
            is_in_time = start <= parse_time(event["requestReceivedTimestamp"]) < end
            if event["user"]["username"] == account and is_in_time:
                yield event


def _describe_request(event: dict[str, Any]) -> str:
    subject = event.get("objectRef", {})
    resource = subject.get("resource") or event["requestURI"]
    subresource = f"/{subject['subresource']}" if subject.get("subresource") else ""
    return f"{event['verb']} {resource}{subresource}"
