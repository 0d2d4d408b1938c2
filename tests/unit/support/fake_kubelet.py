"""A kubelet that runs pods as the time of a test passes, and a ledger of what their programs did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from kpo_platform.pod.message_result import RESULT_FILE
from unit.support.log_server import FakeLog, Fragment
from unit.support.termination_message import report_message

Json = dict[str, Any]
XCOM_SIDECAR = "airflow-xcom-sidecar"
_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Program:
    """What a container does.

    Attributes:
        code: the exit code; None if it runs until it is asked to end.
        runs_s: seconds from start to end.
        lines: what it writes when it starts.
        stop_code: the exit code after SIGTERM.
        reason: Kubernetes' reason of the end; by default Completed or Error.
        never_starts: the reason why it waits forever, such as ErrImagePull.
        message: the message with that reason.
        result: what it has written into the file with its result when it ends.
    """

    code: int | None = 0
    runs_s: float = 2
    lines: tuple[bytes, ...] = (b"hello",)
    stop_code: int = 143
    reason: str = ""
    never_starts: str = ""
    message: str = ""
    result: bytes = b'{"rows": 3}'


IDLE = Program(code=None, lines=())
"""A sidecar that never ends."""


def stamp(now: float) -> str:
    return (_EPOCH + timedelta(seconds=int(now))).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class FakeContainer:
    name: str
    program: Program
    message_share: int = 0  # how many containers share the kubelet's limit, if the result is its message
    log: FakeLog = field(default_factory=FakeLog)
    started_at: float | None = None
    ended_at: float | None = None
    code: int = 0
    reason: str = ""

    @property
    def is_running(self) -> bool:
        return self.started_at is not None and self.ended_at is None

    @property
    def is_due(self) -> bool:
        return self.started_at is None and not self.program.never_starts

    def start(self, now: float) -> None:
        self.started_at = now
        for number, line in enumerate(self.program.lines):
            self.log.add(Fragment(f"{stamp(now)[:-1]}.{number:09d}Z", line))

    def end(self, now: float, code: int, reason: str = "") -> None:
        self.ended_at, self.code, self.reason = now, code, reason or ("Error" if code else "Completed")
        self.log.end()

    def status(self) -> Json:
        waiting = {"reason": self.program.never_starts or "ContainerCreating"}
        state: Json = {"waiting": waiting | ({"message": self.program.message} if self.program.message else {})}
        if self.started_at is not None:
            state = {"running": {"startedAt": stamp(self.started_at)}}
        if self.ended_at is not None:
            times = {"startedAt": stamp(self.started_at or 0), "finishedAt": stamp(self.ended_at)}
            message = report_message(self.program.result, self.message_share) if self.message_share else ""
            said = {"message": message} if message else {}
            state = {"terminated": {"exitCode": self.code, "reason": self.reason, **said, **times}}
        image = {"image": "i", "imageID": "i", "ready": self.is_running, "restartCount": 0}
        return {"name": self.name, "state": state, **image}


class FakePod:
    """A pod on its node."""

    def __init__(self, pod: Json, programs: dict[str, Program], now: float, record: Callable[[str], None]) -> None:
        """Take the pod of a request.

        Args:
            pod: the pod.
            programs: what its containers do, by name; the others are successful, sidecars idle.
            now: the time.
            record: writes a line into the ledger.
        """
        self.pod, self.record = pod, record
        self.created_at, self.has_room, self.refusal = now, True, ""
        self.deleted_at: float | None = None
        self.disruption = ""
        self.runs_until = 0.0  # whatever asks the program to end
        self.grace_s, self.is_gone = 30, False
        self.spec = pod["spec"]
        self.native = {each["name"] for each in self.spec.get("initContainers") or [] if each.get("restartPolicy")}
        names = [each["name"] for each in self.spec.get("initContainers") or []]
        self.inits = [self._build(name, programs) for name in names]
        self.mains = [self._build(each["name"], programs) for each in self.spec["containers"]]
        self.phase, self.reason = "Pending", ""

    def _build(self, name: str, programs: dict[str, Program]) -> FakeContainer:
        is_idle = name in self.native or name == XCOM_SIDECAR
        specs = [*(self.spec.get("initContainers") or []), *self.spec["containers"]]
        paths = {each["name"]: each.get("terminationMessagePath") for each in specs}
        share = len(specs) if paths[name] == RESULT_FILE else 0
        return FakeContainer(name, programs.get(name, IDLE if is_idle else Program()), share)

    @property
    def name(self) -> str:
        return str(self.pod["metadata"]["name"])

    @property
    def containers(self) -> list[FakeContainer]:
        return [*self.inits, *self.mains]

    @property
    def has_ended(self) -> bool:
        return self.phase in ("Succeeded", "Failed")

    def container(self, name: str) -> FakeContainer:
        return next(each for each in self.containers if each.name == name)

    def tick(self, now: float) -> None:
        """Let the kubelet act once."""
        if now < self.runs_until:
            return
        if self.deleted_at is not None:
            self._delete(now)
        elif not self.has_ended and self.has_room:
            self._run(now)

    def _run(self, now: float) -> None:
        if self.refusal:
            self.phase, self.reason = "Failed", self.refusal
            return
        deadline_s = self.spec.get("activeDeadlineSeconds")
        if deadline_s and now - self.created_at >= deadline_s:
            self.terminate(now)
            self.phase, self.reason = "Failed", "DeadlineExceeded"
            return
        for each in self.containers:
            self._end_if_due(each, now)
        pending = next((each for each in self.inits if not self._is_ready(each)), None)
        if pending is not None and pending.ended_at is not None:
            self.phase = "Failed"
        elif pending is not None:
            self._start([pending], now)
        else:
            self._start(self.mains, now)
            self._conclude(now)

    def _is_ready(self, each: FakeContainer) -> bool:
        return each.is_running if each.name in self.native else each.ended_at is not None and each.code == 0

    def _start(self, containers: list[FakeContainer], now: float) -> None:
        for each in containers:
            if each.is_due:
                each.start(now)
                if each.name == "base":
                    self.record(f"{self.name} started")
        if any(each.started_at is not None for each in self.mains):
            self.phase = "Running"

    def _end_if_due(self, each: FakeContainer, now: float) -> None:
        program = each.program
        if each.is_running and program.code is not None and now - (each.started_at or 0) >= program.runs_s:
            each.end(now, program.code, program.reason)
            if each.name == "base":
                self.record(f"{self.name} finished with {program.code}")

    def _conclude(self, now: float) -> None:
        if all(each.ended_at is not None for each in self.mains):
            for each in self.inits:
                if each.is_running:
                    each.end(now, 0)
            self.phase = "Failed" if any(each.code for each in self.mains) else "Succeeded"

    def terminate(self, now: float) -> None:
        """Ask all containers to end."""
        for each in self.containers:
            if each.is_running:
                each.end(now, each.program.stop_code)
                if each.name == "base":
                    self.record(f"{self.name} interrupted")

    def _delete(self, now: float) -> None:
        if any(each.is_running for each in self.containers):
            self.terminate(now)
            self.phase = "Failed"
        else:
            self.is_gone = True

    def evict(self, now: float) -> None:
        """Disrupt the pod as the kubelet does under pressure of its node."""
        self.disruption = stamp(now)
        self.terminate(now)
        self.phase, self.reason = "Failed", "Evicted"

    def read(self) -> Json:
        """Return the pod as the API server has it."""
        metadata = {**self.pod["metadata"], "creationTimestamp": stamp(self.created_at)}
        if self.deleted_at is not None:
            metadata |= {"deletionTimestamp": stamp(self.deleted_at + self.grace_s)}
            metadata |= {"deletionGracePeriodSeconds": self.grace_s}
        status: Json = {"phase": self.phase, "conditions": self._conditions()}
        if self.has_room:
            status["startTime"] = stamp(self.created_at)
        if self.reason:
            status |= {"reason": self.reason, "message": f"because of {self.reason}"}
        if self.has_room and not self.refusal:
            status["initContainerStatuses"] = [each.status() for each in self.inits]
            status["containerStatuses"] = [each.status() for each in self.mains]
        return {**self.pod, "metadata": metadata, "spec": self.spec, "status": status}

    def _conditions(self) -> list[Json]:
        scheduled: Json = {"type": "PodScheduled", "status": str(self.has_room)}
        if not self.has_room:
            scheduled |= {"reason": "Unschedulable", "message": "0/1 nodes are available"}
        if not self.disruption:
            return [scheduled]
        target = {"reason": "TerminationByKubelet", "message": "The node was low on resource: memory."}
        return [
            scheduled,
            {"type": "DisruptionTarget", "status": "True", "lastTransitionTime": self.disruption, **target},
        ]
