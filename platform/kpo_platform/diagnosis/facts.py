"""What is known about a pod, from which its problems are found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from kpo_platform.contract import Team
from kpo_platform.diagnosis.need import Answer, Need
from kpo_platform.diagnosis.signals import Rejection, Signal, list_signals
from kpo_platform.finding import ObjectRef
from kpo_platform.pod.json_fields import read_object, read_objects, read_text
from kpo_platform.pod.merge import Json
from kpo_platform.pod.state import ContainerState, PodState, parse_pod_state

LOG_LINES = 50
"""How many of the last lines of a program's log are enough for the diagnosis of its end."""


@dataclass(frozen=True)
class Looked:
    """What is known about one object: it exists, it does not, or neither is known."""

    is_known: bool = False
    found: Json | None = None

    @property
    def is_absent(self) -> bool:
        """Whether the object is known not to exist."""
        return self.is_known and self.found is None


@dataclass
class Lookup:
    """The objects that are known, and a record of those that were asked for."""

    answers: Mapping[Need, Answer] = field(default_factory=dict)
    asked: dict[Need, None] = field(default_factory=dict)

    def get(self, kind: str, name: str, namespace: str = "") -> Looked:
        """Look at one object."""
        answer = self._ask(Need(kind, namespace, name))
        if answer is None or answer.refusal:
            return Looked()
        return Looked(is_known=True, found=next(iter(answer.objects), None))

    def list_objects(self, kind: str, namespace: str = "") -> tuple[Json, ...] | None:
        """Look at all objects of a kind; None if they are not known."""
        answer = self._ask(Need(kind, namespace))
        return None if answer is None or answer.refusal else answer.objects

    def list_events(self, kind: str, name: str, namespace: str = "") -> tuple[Json, ...]:
        """Look at the v1 Events of an object; empty if they are not known."""
        answer = self._ask(Need("Event", namespace, f"{kind}/{name}"))
        return () if answer is None or answer.refusal else answer.objects

    def _ask(self, need: Need) -> Answer | None:
        self.asked[need] = None
        return self.answers.get(need)


@dataclass(frozen=True)
class TaskResult:
    """What was read as the result of a program that has succeeded.

    Attributes:
        text: the content of the result file; None if it could not be read.
        error: why it could not be read, or not be used.
    """

    text: str | None = None
    error: str = ""


@dataclass(frozen=True)
class Facts:
    """What is known about a pod.

    Attributes:
        pod: the v1 Pod: complete, or its summary; of a rejected pod what was sent.
        events: the v1 Events of the pod.
        rejection: the refusal to create the pod.
        container: the name of the container that runs the program.
        log_tail: the last lines of the program's log.
        result: what was read as the task's result; None if no read was tried, or the pod's status has the result.
        is_gone: whether the pod no longer exists.
        team: the contract's team of the pod, and its name.
        is_planned: whether the pod is not to be created yet, and is judged by its spec.
        is_admitted: whether the API server accepts the planned pod, by a dry run; then the pod is its answer.
        unread: what of this could not be read, with the reason.
        now: the time of the observation.
    """

    pod: Json = field(default_factory=dict)
    events: tuple[Any, ...] = ()
    rejection: Rejection | None = None
    container: str = "base"
    log_tail: tuple[str, ...] = ()
    result: TaskResult | None = None
    is_gone: bool = False
    team: Team | None = None
    team_name: str = ""
    is_planned: bool = False
    is_admitted: bool = False
    unread: tuple[str, ...] = ()
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    @cached_property
    def state(self) -> PodState:
        """The parsed state of the pod."""
        return parse_pod_state(self.pod)

    @cached_property
    def program(self) -> ContainerState:
        """The state of the container that runs the program: that of its name, or else the first."""
        mains = [each for each in self.state.containers if each.kind == "main"]
        named = (each for each in mains if each.name == self.container)
        return next(named, mains[0] if mains else ContainerState(self.container))

    @cached_property
    def former_state(self) -> PodState:
        """The state in which each container has its former end (``lastState``) instead of its present state."""
        status = dict(read_object(read_object(self.pod).get("status")))
        for key in ("containerStatuses", "initContainerStatuses"):
            status[key] = [{**each, "state": each.get("lastState")} for each in read_objects(status.get(key))]
        return parse_pod_state({**read_object(self.pod), "status": status})

    @cached_property
    def signals(self) -> list[Signal]:
        """What Kubernetes says, the most authoritative first."""
        return list_signals(self.state, self.events, self.rejection)

    @property
    def namespace(self) -> str:
        """The pod's namespace."""
        return self.state.namespace or (self.team.namespace if self.team else "")

    @property
    def pod_ref(self) -> ObjectRef:
        """The pod as the object of a finding."""
        metadata = read_object(read_object(self.pod).get("metadata"))
        name = self.state.name or read_text(metadata.get("generateName"))
        return ObjectRef("Pod", name, self.namespace)

    @cached_property
    def spec(self) -> Json:
        """The pod's spec; empty if it is not known."""
        return read_object(read_object(self.pod).get("spec"))

    def list_containers(self) -> list[Json]:
        """List the specs of all containers, those of the init containers first."""
        return [*read_objects(self.spec.get("initContainers")), *read_objects(self.spec.get("containers"))]

    def find_container(self, name: str) -> Json:
        """Find the spec of a container; empty if it is not known."""
        return next((each for each in self.list_containers() if each.get("name") == name), {})

    def select(self, reasons: Iterable[str]) -> list[Signal]:
        """Select the signals with these reasons."""
        wanted = frozenset(reasons)
        return [signal for signal in self.signals if signal.reason in wanted]
