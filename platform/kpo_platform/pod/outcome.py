"""Decide how the run of a pod ended, from the last state that was seen of it."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from kpo_platform.pod.disruption import (
    DEADLINE,
    DELETED,
    GONE,
    LOST,
    NOT_STARTED,
    Termination,
    find_stopped_containers,
    find_termination,
    find_termination_in_events,
)
from kpo_platform.pod.outcome_message import (
    describe_disruption,
    describe_exit,
    describe_init_failure,
    describe_own_limit,
)
from kpo_platform.pod.state import ContainerState, PodState


class OutcomeKind(Enum):
    """How the run of a pod ended for its task."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    DISRUPTED = "disrupted"


@dataclass(frozen=True)
class Outcome:
    """The end of a pod's run.

    Attributes:
        reason: Kubernetes' word for the cause, such as ``OOMKilled``, or one of `disruption`.
        exit_code: the exit code of the program; None if the program did not end, or its end was not seen.
        message: sentences for the task's user, the cause first.
        termination: what ended the pod, if that was not its program.
    """

    kind: OutcomeKind
    reason: str
    exit_code: int | None = None
    message: str = ""
    termination: Termination | None = field(default=None, compare=False)


def decide_outcome(
    last: PodState,
    *,
    container: str,
    is_gone: bool = False,
    skip_codes: Container[int] = (),
    events: Iterable[Any] = (),
) -> Outcome | None:
    """Decide how the run of a pod ended; None while its program runs or can still start. Nothing raises.

    The end of the program's container is the end; other containers do not matter. A disruption beats every exit code,
    unless the container had ended before: a program that ends with 0 when it is told to stop has not done its work.

    Args:
        last: the last state that was seen.
        container: the name of the container that runs the program.
        is_gone: whether the pod no longer exists.
        skip_codes: exit codes with which the program asks to skip the task.
        events: the events of a pod that is gone, which may tell why.
    """
    program, termination = last.container(container), _find_termination(last, events)
    ended = _find_end(last, program, is_gone)
    if ended is not None and (termination is None or not termination.ended(ended)):
        return _judge(ended, program, skip_codes)
    if termination is not None and _has_ended(last, program, is_gone):
        return _judge_termination(termination, program, skip_codes)
    if last.phase == "Succeeded":
        return Outcome(OutcomeKind.SUCCEEDED, "Completed")
    return _judge_unseen_end(last, program, is_gone, events)


def _find_termination(last: PodState, events: Iterable[Any]) -> Termination | None:
    termination = find_termination(last)
    if termination is None or termination.reason != DELETED:
        return termination
    cause = find_termination_in_events(events)
    return replace(cause, since=termination.since) if cause else termination


def _find_end(last: PodState, program: ContainerState, is_gone: bool) -> ContainerState | None:
    """Find the container whose exit code decides: the program's, or that of a failed init container."""
    if program.is_terminated and not program.is_lost and program.exit_code is not None:
        return program
    failed = (each for each in last.containers if each.kind == "init" and each.exit_code and not each.is_lost)
    return next(failed, None) if last.has_ended or is_gone else None


def _has_ended(last: PodState, program: ContainerState, is_gone: bool) -> bool:
    """Whether the program has ended or will never start."""
    never_starts = last.deletion_requested_at is not None and last.phase == "Pending" and not program.has_started
    return is_gone or last.has_finished(program.name) or never_starts


def _judge(ended: ContainerState, program: ContainerState, skip_codes: Container[int]) -> Outcome:
    if ended is not program:
        return Outcome(OutcomeKind.FAILED, ended.reason or "Error", message=describe_init_failure(ended))
    if program.exit_code == 0:
        return Outcome(OutcomeKind.SUCCEEDED, program.reason or "Completed", 0)
    kind = OutcomeKind.SKIPPED if _is_skip(program.exit_code, skip_codes) else OutcomeKind.FAILED
    return Outcome(kind, program.reason or "Error", program.exit_code, describe_exit(program))


def _judge_termination(termination: Termination, program: ContainerState, skip_codes: Container[int]) -> Outcome:
    exit_code = None if program.is_lost else program.exit_code
    if termination.is_disruption:
        message = describe_disruption(termination)
        return Outcome(OutcomeKind.DISRUPTED, termination.reason, exit_code, message, termination)
    # As in the stock operator, a program may ask to be skipped when its pod's deadline ends it.
    is_skip = termination.reason == DEADLINE and _is_skip(exit_code, skip_codes)
    kind = OutcomeKind.SKIPPED if is_skip else OutcomeKind.FAILED
    return Outcome(kind, termination.reason, exit_code, describe_own_limit(termination), termination)


def _judge_unseen_end(last: PodState, program: ContainerState, is_gone: bool, events: Iterable[Any]) -> Outcome | None:
    """Judge a pod that ended without an exit code or a cause in its status: the program is not to blame."""
    if is_gone:
        unnamed = Termination(DELETED if program.name in find_stopped_containers(events) else GONE)
        return _judge_termination(find_termination_in_events(events) or unnamed, program, ())
    if program.is_terminated:
        cause = Termination(program.reason if program.is_lost else LOST, program.message)
    elif last.has_ended:
        cause = Termination(last.reason or (LOST if program.has_started else NOT_STARTED), last.message)
    else:
        return None
    return Outcome(OutcomeKind.DISRUPTED, cause.reason, message=describe_disruption(cause), termination=cause)


def _is_skip(exit_code: int | None, skip_codes: Container[int]) -> bool:
    return exit_code is not None and exit_code in skip_codes
