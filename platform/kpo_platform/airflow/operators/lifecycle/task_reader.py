"""Read what the diagnosis of a task's pod depends on, with the rights of the task."""

from __future__ import annotations

import time

from kubernetes.client import ApiClient, ApiException

from kpo_platform.airflow.api_errors import describe_error, is_missing
from kpo_platform.airflow.operators.lifecycle.api_request import open_answer
from kpo_platform.airflow.operators.lifecycle.pod_api import PodApi
from kpo_platform.diagnosis.facts import LOG_LINES
from kpo_platform.diagnosis.need import Answer, Need
from kpo_platform.pod.state import PodState

_LONGEST_S = 2.0
"""How long the reads of one diagnosis may take: a task that has failed waits for them."""

_UNREAD = frozenset({"Secret"})
"""Kinds that Airflow has no right to read: a request would only be refused."""

_LAST_LINES = {"tailLines": str(LOG_LINES), "limitBytes": "65536"}


class TaskReader:
    """Reads what a diagnosis depends on; nothing raises, and no read begins after two seconds."""

    def __init__(self, api: PodApi) -> None:
        self._api, self._ends_at = api, time.monotonic() + _LONGEST_S

    def read(self, need: Need) -> Answer:
        """Read one object, or all of a kind."""
        if need.kind in _UNREAD:
            return Answer(refusal="Airflow has no right to read it")
        if (remaining_s := self._ends_at - time.monotonic()) <= 0:
            return Answer(refusal="no time left")
        try:
            return Answer(tuple(self._api.read_need(need, remaining_s)))
        except Exception as error:  # the diagnosis does without it
            is_absent = isinstance(error, ApiException) and is_missing(error) and bool(need.name)
            return Answer() if is_absent else Answer(refusal=describe_error(error))

    def read_last_lines(self, client: ApiClient, pod: PodState, container: str) -> list[str]:
        """Read the last lines of a container's log; empty if they cannot be read."""
        path, query = f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}/log", {"container": container, **_LAST_LINES}
        timeout_s = max(0.1, self._ends_at - time.monotonic())
        try:
            answer = open_answer(client, "GET", path, query=query, timeout_s=(timeout_s, timeout_s), reads_body=True)
        except Exception:  # the node may be gone, or the log
            return []
        return bytes(answer.data).decode(errors="replace").splitlines()
