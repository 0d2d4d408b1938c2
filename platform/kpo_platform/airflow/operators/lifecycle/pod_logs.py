"""The logs of a pod's containers in the task's log."""

from __future__ import annotations

import time
from collections import deque
from contextlib import suppress
from typing import Any

from kpo_platform.airflow.api_errors import ConnectionUnreadable
from kpo_platform.airflow.operators.lifecycle.bell import Bell
from kpo_platform.airflow.operators.lifecycle.connection import read_client
from kpo_platform.airflow.operators.lifecycle.log_follower import LogFollower, join_all
from kpo_platform.airflow.operators.lifecycle.log_positions import LogProgress
from kpo_platform.airflow.operators.lifecycle.log_writer import ContainerLogWriter, LogFormat, select_containers
from kpo_platform.airflow.operators.lifecycle.observed_pod import ObservedPod
from kpo_platform.pod.log_lines import LogPosition

_GONE_S = 5.0
_STOP_S = 1.0
"""The supervisor kills a stopped process after five seconds."""

_END_S = 3600.0
"""How long the rest of the logs may take; a follower gives up earlier when nothing arrives."""


class PodLogs:
    """Follows the wanted containers of a pod from the moment that they start.

    `update` and `finish` raise the first error of the author's callbacks or formatter.

    Args:
        progress: what was written before into the same log.
        is_resumed: whether the task comes back from its deferral.

    Attributes:
        news: rung when the API server has ended a log, whose container has probably ended, or the author's code failed.
    """

    def __init__(
        self, operator: Any, pod: ObservedPod, progress: LogProgress | None = None, *, is_resumed: bool = False
    ) -> None:
        self._operator, self._pod, self._progress = operator, pod, progress or LogProgress()
        self._is_resumed = is_resumed
        self._format = LogFormat(
            operator.pod_manager, operator.container_name_log_prefix_enabled, operator.log_formatter
        )
        self._positions = dict(self._progress.positions)
        containers = operator.container_logs if operator.get_logs else None
        self._waiting = [operator.base_container_name] if operator.get_logs else []
        if pod.model.spec is not None:  # else it was gone before it was looked at
            self._waiting = select_containers(
                operator.pod_manager, pod.model, containers=containers, init_containers=operator.init_container_logs
            )
        self._followers: dict[str, LogFollower] = {}
        self._writers: list[ContainerLogWriter] = []
        self._tails: dict[str, deque[str]] = {}
        self.news = Bell()
        self._client, self._is_expired = operator.client, False

    def update(self) -> None:
        """Start to follow the containers that have started, and tell the followers which containers have ended."""
        self._renew_client()
        for name in [name for name in self._waiting if self._pod.state.container(name).has_started]:
            self._waiting.remove(name)
            if not self._is_resumed:
                self._announce(name)
            self._follow(name)
        for name, follower in list(self._followers.items()):
            container = self._pod.state.container(name)
            if container.is_terminated:
                follower.container_ended()
            elif container.phase == "running" and follower.has_finished:  # a native sidecar was started again
                self._positions |= {name: follower.position} if follower.position else {}
                self._follow(name)
        self._raise_error()

    def finish(self) -> None:
        """Write what is left of the logs."""
        self._renew_client()
        for name, follower in self._followers.items():
            if self._pod.state.container(name).is_terminated:
                follower.container_ended()
            else:
                follower.stop_following()
        join_all(self._followers.values(), _GONE_S if self._pod.is_gone else _END_S, self._renew_client)
        self._tell_unread()
        self._raise_error()

    def cut(self, timeout_s: float) -> None:
        """Write what is there now, for this long at most, and follow no longer; errors of the author are dropped."""
        for follower in self._followers.values():
            follower.stop_following()
        join_all(self._followers.values(), timeout_s)

    def stop(self) -> dict[str, LogPosition]:
        """Write no further line, and return what has been written, by container."""
        deadline = time.monotonic() + _STOP_S
        for follower in self._followers.values():
            follower.close()
        for follower in self._followers.values():
            follower.wait(max(0.0, deadline - time.monotonic()))
        return self._positions | {name: each.position for name, each in self._followers.items() if each.position}

    def list_last_lines(self, container: str) -> list[str]:
        """Return the last lines of a container that this process has written."""
        return list(self._tails.get(container, ()))

    def _tell_unread(self) -> None:
        """Tell which logs are missing because the pod was gone, or its node had lost a container, before the read."""
        state = self._pod.state
        has_had_node = state.is_scheduled or not state.phase
        for name in self._waiting:
            if state.container(name).is_lost or (self._pod.is_gone and has_had_node):
                why = "the pod is gone" if self._pod.is_gone else "its node has lost the container"
                position = self._positions.get(name)
                where = f"after {position.stamp}Z" if position else "from its start"
                self._format.manager.log.warning("The log of container %s may be incomplete %s: %s.", name, where, why)

    def _announce(self, name: str) -> None:
        """Tell where a log begins that an earlier process of the try has begun to write."""
        position, log = self._positions.get(name), self._format.manager.log
        if position is not None:
            log.info("The log of container %s continues after %sZ.", name, position.stamp)
        elif self._progress.is_unknown:
            log.info(
                "The log of container %s is written from its start: it is not known how much of it an earlier process "
                "of this try has written.",
                name,
            )

    def _follow(self, name: str) -> None:
        operator, state = self._operator, self._pod.state
        writer = ContainerLogWriter(
            self._format, name, self._pod.model, self._client, operator.callbacks, on_error=self.news.ring
        )
        follower = self._followers[name] = LogFollower(
            lambda: self._client.api_client,
            *(state.name, state.namespace, name, writer),
            position=self._positions.get(name),
            on_pause=self.news.ring,
            on_unauthorized=self._expire,
        )
        self._writers.append(writer)
        self._tails[name] = writer.tail
        if state.container(name).is_terminated:
            follower.container_ended()
        follower.start()

    def _expire(self) -> None:
        self._is_expired = True
        self.news.ring()

    def _renew_client(self) -> None:
        """Take the operator's client, with new credentials if the old ones were rejected, in the main thread."""
        if self._is_expired:
            self._is_expired = False
            self._operator.refresh_credentials()
        with suppress(ConnectionUnreadable):  # the former one serves, or is rejected again
            self._client = read_client(self._operator)

    def _raise_error(self) -> None:
        for writer in self._writers:
            if writer.error is not None:
                raise writer.error
