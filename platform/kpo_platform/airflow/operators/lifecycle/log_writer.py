"""Write the lines of a pod's containers into the task's log as the stock operator does."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pendulum
from airflow.providers.cncf.kubernetes.callbacks import ExecutionMode
from airflow.providers.cncf.kubernetes.utils.pod_manager import PodManager, _parse_log_level, is_log_group_marker
from kubernetes.client import models as k8s

from kpo_platform.airflow.api_errors import describe_failure
from kpo_platform.airflow.operators.lifecycle.callbacks import build_exit_error
from kpo_platform.airflow.operators.lifecycle.log_flood import FloodCounter, join_lines
from kpo_platform.diagnosis.facts import LOG_LINES
from kpo_platform.pod.log_lines import LogLine


@dataclass
class LogFormat:
    """How a task shows the lines of its containers."""

    manager: PodManager  # finds a line's level and writes it
    has_prefix: bool = True  # start a line with its container's name
    formatter: Callable[[str, str], str] | None = None  # the author's, of container and line


class ContainerLogWriter:
    """Writes the lines of one container, from one thread; `close` may come from another.

    Pod, client (a CoreV1Api) and callbacks are the author's: ``progress_callback`` gets a line before it is written.
    `on_error` is called when `error` is set.

    Attributes:
        tail: the last lines, for the diagnosis of a failure.
        error: the first exception of the author's code. The stock operator fails the task with it at once; here the
            log continues without that code, and the thread that waits for the pod may raise it.
    """

    def __init__(
        self,
        log_format: LogFormat,
        container: str,
        pod: k8s.V1Pod,
        client: Any,
        callbacks: Sequence[Any] = (),
        on_error: Callable[[], object] = lambda: None,
    ) -> None:
        self._format, self._container, self._log = log_format, container, log_format.manager.log
        self._pod, self._client, self._callbacks, self._on_error = pod, client, callbacks, on_error
        self._lock, self._is_closed = threading.Lock(), False
        self._counter = FloodCounter()
        self._is_author_called = bool(callbacks or log_format.formatter)
        self.error: Exception | None = None
        self.tail: deque[str] = deque(maxlen=LOG_LINES)

    def write_lines(self, lines: Sequence[LogLine]) -> Iterator[int]:
        """Pass each line to the author's code and write it, until `close`; yield how many are written so far.

        Empty lines are dropped, as by the stock operator. In a flood, lines of the same level become one record, unless
        the author's code gets each.
        """
        count = 0
        for group in join_lines(lines, self._find_kind):
            if not self._write(group):
                return
            count += len(group)
            yield count

    def _write(self, group: Sequence[LogLine]) -> bool:
        lines = [line for line in group if line.text]
        self.tail.extend(line.text for line in lines[-LOG_LINES:])
        if self._is_closed or not lines:
            return not self._is_closed
        formatter = self._call_author(lines[0]) if self._is_author_called else None
        with self._lock, _lock_logging():
            if self._is_closed:
                return False
            prefix = f"[{self._container}] " if self._format.has_prefix else ""
            text = _join_texts(lines, prefix)
            self._format.manager._log_message(text, self._container, self._format.has_prefix, formatter)
        return True

    def _find_kind(self, line: LogLine) -> int | None:
        """Return the level of a line that may share a record.

        Airflow's log page takes a record with a marker of a group anywhere in it for the marker.
        """
        has_marker = "::group::" in line.text or "::endgroup::" in line.text
        is_shared = self._counter.is_flood(line) and not has_marker and not self._is_author_called
        return _parse_log_level(line.text) if is_shared else None

    def write_notice(self, text: str) -> None:
        """Write a sentence about the log as a warning."""
        with self._lock, _lock_logging():
            if not self._is_closed:
                self._log.warning("%s", text)

    def close(self, notice: str = "") -> None:
        """Write a last notice, and drop everything after it."""
        self._is_closed = True  # before the lock: a callback may hang
        with self._lock:
            if notice:
                self._log.warning("%s", notice)

    def _call_author(self, line: LogLine) -> Callable[..., str] | None:
        """Call the author's code outside of the lock, as it may hang; return how it shows the line."""
        name = "progress_callback"
        try:
            for callback in self._callbacks:
                if self._is_closed or self.error is not None:
                    return None
                callback.progress_callback(
                    line=line.text,
                    client=self._client,
                    mode=ExecutionMode.SYNC,
                    container_name=self._container,
                    timestamp=pendulum.instance(datetime.fromisoformat(f"{line.stamp}Z")),
                    pod=self._pod,
                )
            name, formatter = "log_formatter", self._format.formatter
            if formatter is not None and self.error is None and not is_log_group_marker(line.text):
                formatted = formatter(self._container, line.text)
                return None if formatted is None else lambda *_: formatted
        except BaseException as error:  # an exit would end the thread; no signal raises here
            self.error = error if isinstance(error, Exception) else build_exit_error(name, error)
            self._on_error()
            self._log.error("The task's %s failed: %s", name, describe_failure(error))
        return None


def _join_texts(lines: Sequence[LogLine], prefix: str) -> str:
    return f"\n{prefix}".join(line.text for line in lines)


@contextmanager
def _lock_logging() -> Iterator[None]:
    """Keep the standard library's loggers from writing meanwhile.

    In a task, they and structlog share one socket but no lock, and a line of more than 32 KiB takes several writes.
    """
    with ExitStack() as stack:
        for handler in logging.getLogger().handlers:
            handler.acquire()
            stack.callback(handler.release)
        yield


def select_containers(
    manager: PodManager,
    pod: k8s.V1Pod,
    *,
    containers: Iterable[str] | str | bool | None,
    init_containers: Iterable[str] | str | bool | None,
) -> list[str]:
    """Select the containers to follow by the task's arguments, init containers in their order first.

    A name that the pod does not have is reported in the log with the stock operator's words.
    """
    selected: list[str] = []
    if init_containers:
        names = [container.name for container in pod.spec.init_containers or []]
        wanted = manager._reconcile_requested_log_containers(init_containers, names, pod.metadata.name)
        selected += sorted(wanted, key=names.index)
    if containers is not None:
        names = [container.name for container in pod.spec.containers if container.name != "airflow-xcom-sidecar"]
        selected += manager._reconcile_requested_log_containers(containers, names, pod.metadata.name)
    return list(dict.fromkeys(selected))
