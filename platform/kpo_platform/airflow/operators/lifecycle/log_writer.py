"""Write the lines of a pod's containers into the task's log as the stock operator does."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pendulum
from airflow.providers.cncf.kubernetes.callbacks import ExecutionMode
from airflow.providers.cncf.kubernetes.utils.pod_manager import PodManager, is_log_group_marker
from kubernetes.client import models as k8s

from kpo_platform.airflow.operators.lifecycle.log_lines import LogLine


@dataclass
class LogFormat:
    """How a task shows the lines of its containers.

    Attributes:
        manager: the stock pod manager; it finds a line's level and writes it.
        has_prefix: start a line with its container's name.
        formatter: the author's ``log_formatter``; gets the container's name and the line.
        is_resumed: the task was deferred; the stock operator then writes every line as ``[base] logs: …``.
    """

    manager: PodManager
    has_prefix: bool = True
    formatter: Callable[[str, str], str] | None = None
    is_resumed: bool = False

    def format(self, container: str, text: str) -> str | None:
        """Return the line as the author's formatter shows it; None without one."""
        if self.formatter is None or self.is_resumed or is_log_group_marker(text):
            return None
        return self.formatter(container, text)

    def write(self, container: str, text: str, formatted: str | None) -> None:
        """Write one line."""
        if self.is_resumed:
            self.manager.log.info("[%s] logs: %s", container, text)
        else:
            formatter = None if formatted is None else lambda *_: formatted
            self.manager._log_message(text, container, self.has_prefix, formatter)


class ContainerLogWriter:
    """Writes the lines of one container, from one thread; `close` may come from another.

    Attributes:
        error: the first exception of the author's code. The stock operator fails the task with it at once; here the
            log continues without that code, and the thread that waits for the pod may raise it.
    """

    def __init__(
        self, log_format: LogFormat, container: str, pod: k8s.V1Pod, client: Any, callbacks: Sequence[Any] = ()
    ) -> None:
        """Prepare to write.

        Args:
            log_format: how lines are shown.
            container: name of the container.
            pod: the pod, for callbacks.
            client: the CoreV1Api, for callbacks.
            callbacks: the author's callbacks; ``progress_callback`` gets every line before it is written.
        """
        self._format, self._container = log_format, container
        self._pod, self._client, self._callbacks = pod, client, callbacks
        self._lock, self._is_closed = threading.Lock(), False
        self.error: Exception | None = None

    def write(self, line: LogLine) -> bool:
        """Pass a line to the callbacks, then write it; return False if it came after `close`.

        Empty lines are dropped, as by the stock operator.
        """
        if self._is_closed or not line.text:
            return not self._is_closed
        if not self._format.is_resumed:
            self._call_back(line)
        formatted = self._format_line(line.text)
        with self._lock, lock_logging():
            if self._is_closed:
                return False
            self._format.write(self._container, line.text, formatted)
        return True

    def write_notice(self, text: str) -> None:
        """Write a sentence about the log as a warning."""
        with self._lock, lock_logging():
            if not self._is_closed:
                self._format.manager.log.warning("%s", text)

    def close(self, notice: str = "") -> None:
        """Write a last notice, and drop everything after it."""
        self._is_closed = True  # before the lock: a callback may hang
        with self._lock:
            if notice:
                self._format.manager.log.warning("%s", notice)

    def _call_back(self, line: LogLine) -> None:
        for callback in self._callbacks:
            if self._is_closed or self.error is not None:
                return
            try:
                callback.progress_callback(
                    line=line.text,
                    client=self._client,
                    mode=ExecutionMode.SYNC,
                    container_name=self._container,
                    timestamp=pendulum.instance(datetime.fromisoformat(f"{line.stamp[:26]}+00:00")),
                    pod=self._pod,
                )
            except Exception as error:
                self._report("progress_callback", error)

    def _format_line(self, text: str) -> str | None:
        """Call the formatter outside of the lock: it may hang."""
        try:
            return self._format.format(self._container, text) if self.error is None else None
        except Exception as error:
            self._report("log_formatter", error)
            return None

    def _report(self, name: str, error: Exception) -> None:
        self.error = error
        self._format.manager.log.error("The task's %s failed: %s: %s", name, type(error).__name__, error)


@contextmanager
def lock_logging() -> Iterator[None]:
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
    """Select the containers to follow, init containers in their order first.

    A name that the pod does not have is reported in the log with the stock operator's words.

    Args:
        manager: the stock pod manager.
        pod: the pod as created.
        containers: the task's ``container_logs``; None if ``get_logs`` is false.
        init_containers: the task's ``init_container_logs``.
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
