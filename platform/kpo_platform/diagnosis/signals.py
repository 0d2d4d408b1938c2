"""What Kubernetes says about a pod, in one form: status, states of containers, events, a refusal to create it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from kpo_platform.finding import ObjectRef
from kpo_platform.pod.disruption import read_container_name
from kpo_platform.pod.json_fields import read_object, read_text, read_time
from kpo_platform.pod.state import ContainerState, PodState

Source = Literal["rejection", "status", "condition", "terminated", "waiting", "event", "spec"]
"""Where a signal comes from, the most authoritative first; ``spec`` is the pod itself, before it is created."""

_UNKNOWN_TIME = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Rejection:
    """A refusal of the API server to create a pod.

    Attributes:
        status: the HTTP status.
        message: the message of the answer.
    """

    status: int
    message: str


@dataclass(frozen=True)
class Signal:
    """Something that Kubernetes says about a pod or an object that it needs.

    Attributes:
        reason: Kubernetes' word, such as ``FailedScheduling``; of a rejection the HTTP status.
        message: the text, as it is.
        container: the name of the container that it is about; empty if it is about the pod.
        about: the object of an event, if that is not the pod.
        seen_at: when it was last seen; None if unknown.
        exit_code: of a container that has ended.
    """

    source: Source
    reason: str
    message: str
    container: str = ""
    about: ObjectRef | None = None
    seen_at: datetime | None = field(default=None, compare=False)
    exit_code: int | None = None

    @property
    def evidence(self) -> str:
        """The signal as evidence: reason and message, verbatim."""
        place = f" (container {self.container})" if self.container else f" ({self.about})" if self.about else ""
        return ": ".join(filter(None, (f"{self.reason}{place}", self.message)))


def list_signals(state: PodState, events: Iterable[Any] = (), rejection: Rejection | None = None) -> list[Signal]:
    """List the signals of a pod, the most authoritative first, each once; events from the last to the first.

    Args:
        state: the last state of the pod.
        events: v1 Events of the pod and of objects that it needs, in any shape; malformed ones are left out.
        rejection: the refusal to create the pod.
    """
    signals = [Signal("rejection", str(rejection.status), rejection.message)] if rejection else []
    signals += [*_list_pod_signals(state), *_list_container_signals(state.containers)]
    found = [signal for event in events if (signal := parse_event(event))]
    found.sort(key=lambda signal: signal.seen_at or _UNKNOWN_TIME, reverse=True)
    return list(dict.fromkeys([*signals, *found]))


def parse_event(event: Any) -> Signal | None:
    """Parse a v1 Event; None if it has no reason."""
    event = read_object(event)
    about, reason = read_object(event.get("involvedObject")), read_text(event.get("reason"))
    if not reason:
        return None
    kind, name, namespace = (read_text(about.get(key)) for key in ("kind", "name", "namespace"))
    return Signal(
        source="event",
        reason=reason,
        message=read_text(event.get("message")),
        container=read_container_name(about),
        about=None if kind in ("", "Pod") else ObjectRef(kind, name, namespace),
        seen_at=_read_last_time(event),
    )


def _read_last_time(event: dict[str, Any]) -> datetime | None:
    """Read when an event was last seen: the scheduler's have only `eventTime` and `series`."""
    series = read_object(event.get("series"))
    values = (series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"))
    return next((time for value in values if (time := read_time(value))), None)


def _list_pod_signals(state: PodState) -> Iterator[Signal]:
    if state.reason:
        yield Signal("status", state.reason, state.message)
    for condition in state.conditions:
        is_problem = condition.status == "True" if condition.type == "DisruptionTarget" else condition.status == "False"
        if is_problem and condition.reason and condition.type in ("PodScheduled", "DisruptionTarget"):
            yield Signal("condition", condition.reason, condition.message, seen_at=condition.changed_at)


def _list_container_signals(containers: Iterable[ContainerState]) -> Iterator[Signal]:
    for container in containers:
        if container.is_terminated:
            reason = container.reason or "Error"
            yield Signal(
                "terminated",
                reason,
                container.message,
                container.name,
                seen_at=container.finished_at,
                exit_code=container.exit_code,
            )
        elif container.phase == "waiting" and container.reason not in ("", "ContainerCreating", "PodInitializing"):
            yield Signal("waiting", container.reason, container.message, container.name)
