"""The state of a pod, parsed from the JSON of the Kubernetes API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from kpo_platform.pod.json_fields import (
    add_seconds,
    read_integer,
    read_object,
    read_objects,
    read_text,
    read_texts,
    read_time,
)
from kpo_platform.pod.merge import Json
from kpo_platform.pod.message_result import RESULT_FILE, find_limit

ContainerPhase = Literal["waiting", "running", "terminated"]
ContainerKind = Literal["main", "init", "sidecar"]

CANNOT_START = frozenset({"ContainerCannotRun", "StartError"})
"""Reasons of a container that did not start; its message is the runtime's."""

_LOST = frozenset({("ContainerStatusUnknown", 137), ("Unknown", 255)})
"""Reasons and invented exit codes of a container whose end was not seen, by the kubelet and by containerd."""

_STATUSES = {"containers": "containerStatuses", "initContainers": "initContainerStatuses"}


@dataclass(frozen=True)
class ContainerState:
    """The state of one container; ``waiting`` as long as the kubelet has not reported it.

    ``kind`` is ``sidecar`` for a native sidecar (an init container that stays). ``memory_limit`` is a quantity.
    ``message_path`` is the file of the termination message. If that message is the task's result, ``message`` is empty,
    and ``result`` is set after exit code 0.
    """

    name: str
    phase: ContainerPhase = "waiting"
    reason: str = ""
    message: str = ""
    exit_code: int | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    kind: ContainerKind = "main"
    memory_limit: str = ""
    message_path: str = ""
    result: str | None = None

    @property
    def is_terminated(self) -> bool:
        """Whether the container has ended."""
        return self.phase == "terminated"

    @property
    def is_lost(self) -> bool:
        """Whether the container has ended unseen, as when its node restarted; its exit code is invented."""
        return self.is_terminated and (self.reason, self.exit_code) in _LOST

    @property
    def has_started(self) -> bool:
        """Whether the container is known to run or to have run."""
        return self.phase == "running" or self.started_at is not None or (self.is_terminated and not self.is_lost)


@dataclass(frozen=True)
class Condition:
    """A condition of a pod; ``changed_at`` is the last transition."""

    type: str
    status: str = ""
    reason: str = ""
    message: str = ""
    changed_at: datetime | None = None


@dataclass(frozen=True)
class PodState:
    """The state of a pod. Unknown texts are empty, unknown times None.

    Attributes:
        is_scheduled: whether the pod has a node.
        started_at: when the kubelet accepted the pod.
        deadline_at: when the kubelet ends the pod because of ``activeDeadlineSeconds``.
        deletion_requested_at: when the deletion was requested; ``deletionTimestamp`` is the end of the grace period.
        result_limit: how many bytes a container's ``result`` must stay below, to be whole.
    """

    name: str = ""
    namespace: str = ""
    uid: str = ""
    phase: str = ""
    reason: str = ""
    message: str = ""
    is_scheduled: bool = False
    created_at: datetime | None = None
    started_at: datetime | None = None
    deadline_at: datetime | None = None
    deletion_requested_at: datetime | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    conditions: tuple[Condition, ...] = ()
    containers: tuple[ContainerState, ...] = ()
    result_limit: int = find_limit({})

    @property
    def has_ended(self) -> bool:
        """Whether every container has ended for good."""
        return self.phase in ("Succeeded", "Failed")

    def has_finished(self, name: str) -> bool:
        """Whether a container has ended, or the whole pod."""
        return self.has_ended or self.container(name).is_terminated

    def container(self, name: str) -> ContainerState:
        """Return the state of a container; waiting if the pod has none of this name."""
        return next((container for container in self.containers if container.name == name), ContainerState(name))

    def without(self, name: str) -> PodState:
        """Return the state without a container."""
        return replace(self, containers=tuple(each for each in self.containers if each.name != name))

    def condition(self, kind: str) -> Condition | None:
        """Return the condition of this type, or None."""
        return next((condition for condition in self.conditions if condition.type == kind), None)


def parse_pod_state(pod: Any) -> PodState:
    """Parse a v1 Pod as the API server sends it. Missing and malformed fields are unknown; nothing raises."""
    pod = read_object(pod)
    metadata, spec, status = (read_object(pod.get(key)) for key in ("metadata", "spec", "status"))
    conditions = tuple(_parse_condition(condition) for condition in read_objects(status.get("conditions")))
    is_scheduled = any(each.type == "PodScheduled" and each.status == "True" for each in conditions)
    started_at = read_time(status.get("startTime"))
    return PodState(
        **{key: read_text(metadata.get(key)) for key in ("name", "namespace", "uid")},
        **{key: read_text(status.get(key)) for key in ("phase", "reason", "message")},
        is_scheduled=is_scheduled or read_text(spec.get("nodeName")) != "",
        created_at=read_time(metadata.get("creationTimestamp")),
        started_at=started_at,
        deadline_at=add_seconds(started_at, read_integer(spec.get("activeDeadlineSeconds"))),
        deletion_requested_at=_parse_deletion(metadata),
        labels=read_texts(metadata.get("labels")),
        conditions=conditions,
        containers=tuple(_parse_containers(spec, status)),
        result_limit=find_limit(pod),
    )


def _parse_deletion(metadata: Json) -> datetime | None:
    grace_s = read_integer(metadata.get("deletionGracePeriodSeconds")) or 0
    deleted_at = read_time(metadata.get("deletionTimestamp"))
    return add_seconds(deleted_at, -grace_s) or deleted_at


def _parse_condition(condition: Json) -> Condition:
    return Condition(
        **{key: read_text(condition.get(key)) for key in ("type", "status", "reason", "message")},
        changed_at=read_time(condition.get("lastTransitionTime")),
    )


def _parse_containers(spec: Json, status: Json) -> Iterator[ContainerState]:
    """Parse every container in the spec or the status; the kubelet reports containers only after it saw the pod."""
    for field_name, status_field in _STATUSES.items():
        specs = {read_text(each.get("name")): each for each in read_objects(spec.get(field_name))}
        statuses = {read_text(each.get("name")): each for each in read_objects(status.get(status_field))}
        for name in {**specs, **statuses}:
            container = specs.get(name, {})
            kind: ContainerKind = "main" if field_name == "containers" else "init"
            if kind == "init" and container.get("restartPolicy") == "Always":
                kind = "sidecar"
            yield _parse_container(name, kind, container, statuses.get(name, {}))


def _parse_container(name: str, kind: ContainerKind, spec: Json, status: Json) -> ContainerState:
    states = read_object(status.get("state"))
    phases: tuple[ContainerPhase, ...] = ("terminated", "running")
    phase: ContainerPhase = next((each for each in phases if isinstance(states.get(each), dict)), "waiting")
    state = read_object(states.get(phase))
    limits = read_object(read_object(spec.get("resources")).get("limits"))
    parsed = ContainerState(
        name=name,
        phase=phase,
        reason=read_text(state.get("reason")),
        message=read_text(state.get("message")),
        exit_code=read_integer(state.get("exitCode")) if phase == "terminated" else None,
        started_at=read_time(state.get("startedAt")),
        finished_at=read_time(state.get("finishedAt")),
        kind=kind,
        memory_limit=read_text(limits.get("memory")),
        message_path=read_text(spec.get("terminationMessagePath")),
    )
    is_of_program = parsed.is_terminated and not parsed.is_lost and parsed.reason not in CANNOT_START
    if is_of_program and parsed.message_path == RESULT_FILE:
        return replace(parsed, message="", result=parsed.message if parsed.exit_code == 0 else None)
    return parsed
