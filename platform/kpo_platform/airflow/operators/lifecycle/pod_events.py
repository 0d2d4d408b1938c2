"""Write the events of a pod into the task's log, each once, with the stock operator's words."""

from __future__ import annotations

from typing import Any

from kpo_platform.airflow.operators.lifecycle.patience import describe_error
from kpo_platform.airflow.operators.lifecycle.pod_api import PodApi
from kpo_platform.pod.merge import Json
from kpo_platform.pod.state import PodState


class PodEventLog:
    """The events of one pod, as they appear."""

    def __init__(self, api: PodApi, log: Any) -> None:
        self._api, self._log = api, log
        self._seen: set[str] = set()
        self._is_refused = False

    def write_new(self, pod: PodState) -> None:
        """Write the events that have appeared since the last call; a refusal ends the attempts."""
        for event in self._read(pod):
            if (uid := _read_uid(event)) not in self._seen:
                self._seen.add(uid)
                path = (event.get("involvedObject") or {}).get("fieldPath")
                self._log.info("The Pod has an Event: %s from %s", event.get("message"), path)

    def write_after_failure(self, pod: PodState) -> None:
        """Write the states of the containers, and all events."""
        self._log.info("Pod phase: %s, reason: %s", pod.phase, pod.reason or None)
        for container in pod.containers:
            level = self._log.error if container.exit_code else self._log.info
            level(
                "Container '%s': state='%s', reason='%s', exit_code=%s, message='%s'",
                *(container.name, container.phase.upper(), container.reason, container.exit_code, container.message),
            )
        for event in self._read(pod):
            level = self._log.warning if event.get("type") == "Warning" else self._log.info
            level("Pod Event: %s - %s", event.get("reason"), event.get("message"))

    def _read(self, pod: PodState) -> list[Json]:
        if self._is_refused:
            return []
        try:
            return self._api.read_events(pod.name, pod.namespace, pod.uid or None)
        except Exception as error:  # the task must not fail for its pod's events
            self._is_refused = True
            self._log.warning("Cannot read the events of pod %s: %s.", pod.name, describe_error(error))
            return []


def _read_uid(event: Json) -> str:
    return str((event.get("metadata") or {}).get("uid"))
