"""The logs of a pod's containers in the task's log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kpo_platform.airflow.operators.lifecycle.log_follower import LogFollower
from kpo_platform.airflow.operators.lifecycle.log_lines import LogPosition
from kpo_platform.airflow.operators.lifecycle.log_writer import ContainerLogWriter, LogFormat, select_containers
from kpo_platform.airflow.operators.lifecycle.observed_pod import ObservedPod

_GONE_S = 5.0
_END_S = 3600.0
"""How long the rest of a log may take; a follower gives up earlier when nothing arrives."""


class PodLogs:
    """Follows the wanted containers of a pod from the moment that they start."""

    def __init__(self, operator: Any, pod: ObservedPod, *, is_resumed: bool = False, last_log_time: Any = None) -> None:
        """Choose the containers.

        Args:
            operator: the task's operator.
            pod: the pod.
            is_resumed: whether the task comes back from its deferral.
            last_log_time: the time of the last line of the program that its trigger has written, if it has written any.
        """
        self._operator, self._pod = operator, pod
        self._format = LogFormat(
            operator.pod_manager, operator.container_name_log_prefix_enabled, operator.log_formatter, is_resumed
        )
        self._position = LogPosition.at(last_log_time) if last_log_time else None
        self._waiting = _select(operator, pod)
        self._followers: dict[str, LogFollower] = {}
        self._writers: list[ContainerLogWriter] = []

    def update(self) -> None:
        """Start to follow the containers that have started, and tell the followers which containers have ended.

        Raises:
            Exception: an error of the author's callbacks or formatter.
        """
        for name in [name for name in self._waiting if self._pod.state.container(name).has_started]:
            self._waiting.remove(name)
            self._follow(name)
        for name, follower in self._followers.items():
            if self._pod.state.container(name).is_terminated:
                follower.container_ended()
        self._raise_error()

    def finish(self) -> None:
        """Write what is left of the logs.

        Raises:
            Exception: an error of the author's callbacks or formatter.
        """
        for name, follower in self._followers.items():
            if self._pod.state.container(name).is_terminated:
                follower.container_ended()
            else:
                follower.stop_following()
        for follower in self._followers.values():
            follower.join(_GONE_S if self._pod.is_gone else _END_S)
        self._raise_error()

    def _follow(self, name: str) -> None:
        operator, model = self._operator, self._pod.model
        writer = ContainerLogWriter(self._format, name, model, operator.client, operator.callbacks)
        state = self._pod.state
        position = self._position if name == operator.base_container_name else None
        follower = LogFollower(operator.client.api_client, state.name, state.namespace, name, writer, position=position)
        if state.container(name).is_terminated:
            follower.container_ended()
        self._writers.append(writer)
        self._followers[name] = follower
        follower.start()

    def _raise_error(self) -> None:
        for writer in self._writers:
            if writer.error is not None:
                raise writer.error


def _select(operator: Any, pod: ObservedPod) -> list[str]:
    if pod.model.spec is None:
        return []  # it was gone before it was looked at
    containers: Sequence[str] | str | bool | None = operator.container_logs if operator.get_logs else None
    return select_containers(
        operator.pod_manager, pod.model, containers=containers, init_containers=operator.init_container_logs
    )
