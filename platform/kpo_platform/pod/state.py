"""The state of a pod, parsed from the JSON of the Kubernetes API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from kpo_platform.pod.merge import Json

ContainerPhase = Literal["waiting", "running", "terminated"]
ContainerKind = Literal["main", "init", "sidecar"]

STATUS_UNKNOWN = "ContainerStatusUnknown"
"""Reason of a terminated container whose end the kubelet did not see; its exit code, 137, is invented."""

_STATUSES = {"containers": "containerStatuses", "initContainers": "initContainerStatuses"}
_FIRST_YEAR = 1971  # the kubelet writes year 1, and containerd 1970, for a time that it does not know


@dataclass(frozen=True)
class ContainerState:
    """The state of one container; ``waiting`` as long as the kubelet has not reported it.

    ``kind`` is ``sidecar`` for a native sidecar (an init container that stays), ``main`` for all containers beside
    ``base``. ``restart_count`` is the number of restarts. ``memory_limit`` is a quantity, or empty.
    """

    name: str
    phase: ContainerPhase = "waiting"
    reason: str = ""
    message: str = ""
    exit_code: int | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    restart_count: int = 0
    kind: ContainerKind = "main"
    image: str = ""
    memory_limit: str = ""

    @property
    def is_terminated(self) -> bool:
        """Whether the container has ended."""
        return self.phase == "terminated"

    @property
    def has_started(self) -> bool:
        """Whether the container runs or has run."""
        if self.phase == "running" or self.started_at is not None:
            return True
        return self.is_terminated and self.reason != STATUS_UNKNOWN


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
        phase: ``Pending``, ``Running``, ``Succeeded`` or ``Failed``; empty if unknown.
        deletion_requested_at: when the deletion was requested. Kubernetes stores the end of the grace period
            (``deletionTimestamp``), which is later.
        started_at: when the kubelet accepted the pod.
        deadline_at: when the kubelet ends the pod because of ``activeDeadlineSeconds``.
        is_scheduled: whether the pod has a node.
    """

    name: str = ""
    namespace: str = ""
    uid: str = ""
    phase: str = ""
    reason: str = ""
    message: str = ""
    resource_version: str = ""
    node: str = ""
    is_scheduled: bool = False
    created_at: datetime | None = None
    started_at: datetime | None = None
    deadline_at: datetime | None = None
    deletion_requested_at: datetime | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    conditions: tuple[Condition, ...] = ()
    containers: tuple[ContainerState, ...] = ()

    @property
    def has_ended(self) -> bool:
        """Whether every container has ended for good."""
        return self.phase in ("Succeeded", "Failed")

    def container(self, name: str) -> ContainerState:
        """Return the state of a container; waiting if the pod has none of this name."""
        return next((container for container in self.containers if container.name == name), ContainerState(name))

    def condition(self, kind: str) -> Condition | None:
        """Return the condition of this type, or None."""
        return next((condition for condition in self.conditions if condition.type == kind), None)


def parse_pod_state(pod: Any) -> PodState:
    """Parse a v1 Pod as the API server sends it. Missing and malformed fields are unknown; nothing raises."""
    pod = _object(pod)
    metadata, spec, status = (_object(pod.get(key)) for key in ("metadata", "spec", "status"))
    conditions = tuple(_parse_condition(condition) for condition in _objects(status.get("conditions")))
    node = _text(spec.get("nodeName"))
    scheduled = any(each.type == "PodScheduled" and each.status == "True" for each in conditions)
    started_at = _time(status.get("startTime"))
    return PodState(
        **{key: _text(metadata.get(key)) for key in ("name", "namespace", "uid")},
        **{key: _text(status.get(key)) for key in ("phase", "reason", "message")},
        resource_version=_text(metadata.get("resourceVersion")),
        node=node,
        is_scheduled=bool(node) or scheduled,
        created_at=_time(metadata.get("creationTimestamp")),
        started_at=started_at,
        deadline_at=_add_seconds(started_at, _integer(spec.get("activeDeadlineSeconds"))),
        deletion_requested_at=_parse_deletion(metadata),
        labels=_texts(metadata.get("labels")),
        annotations=_texts(metadata.get("annotations")),
        conditions=conditions,
        containers=tuple(_parse_containers(spec, status)),
    )


def _parse_deletion(metadata: Json) -> datetime | None:
    grace_s = _integer(metadata.get("deletionGracePeriodSeconds")) or 0
    deleted_at = _time(metadata.get("deletionTimestamp"))
    return _add_seconds(deleted_at, -grace_s) or deleted_at


def _parse_condition(condition: Json) -> Condition:
    return Condition(
        **{key: _text(condition.get(key)) for key in ("type", "status", "reason", "message")},
        changed_at=_time(condition.get("lastTransitionTime")),
    )


def _parse_containers(spec: Json, status: Json) -> Iterator[ContainerState]:
    """Parse every container in the spec or the status; the kubelet reports containers only after it saw the pod."""
    for field_name, status_field in _STATUSES.items():
        specs = {_text(each.get("name")): each for each in _objects(spec.get(field_name))}
        statuses = {_text(each.get("name")): each for each in _objects(status.get(status_field))}
        for name in {**specs, **statuses}:
            container = specs.get(name, {})
            kind: ContainerKind = "main" if field_name == "containers" else "init"
            if kind == "init" and container.get("restartPolicy") == "Always":
                kind = "sidecar"
            yield _parse_container(name, kind, container, statuses.get(name, {}))


def _parse_container(name: str, kind: ContainerKind, spec: Json, status: Json) -> ContainerState:
    states = _object(status.get("state"))
    phases: tuple[ContainerPhase, ...] = ("terminated", "running")
    phase: ContainerPhase = next((each for each in phases if isinstance(states.get(each), dict)), "waiting")
    state = _object(states.get(phase))
    limits = _object(_object(spec.get("resources")).get("limits"))
    return ContainerState(
        name=name,
        phase=phase,
        reason=_text(state.get("reason")),
        message=_text(state.get("message")),
        exit_code=_integer(state.get("exitCode")) if phase == "terminated" else None,
        started_at=_time(state.get("startedAt")),
        finished_at=_time(state.get("finishedAt")),
        restart_count=_integer(status.get("restartCount")) or 0,
        kind=kind,
        image=_text(spec.get("image")) or _text(status.get("image")),
        memory_limit=_text(limits.get("memory")),
    )


def _object(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def _objects(value: Any) -> list[Json]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: Any) -> dict[str, str]:
    return {key: text for key, text in _object(value).items() if isinstance(key, str) and isinstance(text, str)}


def _integer(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _time(value: Any) -> datetime | None:
    try:
        time = datetime.fromisoformat(_text(value))
    except ValueError:
        return None
    if time.year < _FIRST_YEAR:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _add_seconds(time: datetime | None, seconds: int | None) -> datetime | None:
    if time is None or seconds is None:
        return None
    try:
        return time + timedelta(seconds=seconds)
    except OverflowError:
        return None
