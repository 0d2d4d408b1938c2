"""The times at which Kubernetes says something about pods, by a watch of the benchmark's own."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kubernetes import client, config, watch

from stack.release import Stack

Json = dict[str, Any]


class Signals:
    """Records when each reason of each pod was seen first."""

    def __init__(self) -> None:
        self._seen: dict[str, dict[str, float]] = defaultdict(dict)

    def add(self, item: Json) -> None:
        """Add a pod or an event."""
        now = time.time()
        about = item.get("involvedObject") or item.get("metadata") or {}
        name = about.get("name", "")
        for reason in list_reasons(item):
            self._seen[name].setdefault(reason, now)

    def get(self, pod: str) -> dict[str, float]:
        """Return the reasons of a pod and their times."""
        return dict(self._seen.get(pod, {}))


def list_reasons(item: Json) -> Iterator[str]:
    """List the reasons in a pod's status, or that of an event."""
    if "involvedObject" in item:
        yield item.get("reason") or ""
        return
    status = item.get("status") or {}
    yield status.get("reason") or ""
    for condition in status.get("conditions") or ():
        yield condition.get("reason") or ""
    for field in ("initContainerStatuses", "containerStatuses"):
        for container in status.get(field) or ():
            for state in ("state", "lastState"):
                for detail in (container.get(state) or {}).values():
                    yield (detail or {}).get("reason") or ""


@contextmanager
def watch_signals(stack: Stack) -> Iterator[Signals]:
    """Watch all pods and events during the block."""
    signals, stopped = Signals(), threading.Event()
    api = client.CoreV1Api(config.new_client_from_config(str(stack.kubeconfig)))
    for list_items in (api.list_pod_for_all_namespaces, api.list_event_for_all_namespaces):
        threading.Thread(target=_watch, args=(list_items, signals, stopped), daemon=True).start()
    try:
        yield signals
    finally:
        stopped.set()


def _watch(list_items: Any, signals: Signals, stopped: threading.Event) -> None:
    while not stopped.is_set():
        try:
            for event in watch.Watch().stream(list_items, timeout_seconds=60):
                signals.add(event["raw_object"])
                if stopped.is_set():
                    return
        except Exception:  # an interrupted watch is opened again, whatever the reason
            time.sleep(0.5)
