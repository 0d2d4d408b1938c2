"""Say why the result of a task's program cannot be used."""

from __future__ import annotations

from kpo_platform.diagnosis.cause import Cause
from kpo_platform.diagnosis.causes.result import find_result_problems
from kpo_platform.diagnosis.facts import Facts, Lookup, TaskResult
from kpo_platform.pod.merge import Json


def check_result(pod: Json, container: str, *, text: str | None = None, error: str = "") -> Cause | None:
    """Find why a result cannot be used, or is probably not what its author means; None if nothing is wrong.

    Args:
        pod: the pod.
        container: the container whose program has the result.
        text: the content of the result's file.
        error: why it could not be read.
    """
    return next(
        find_result_problems(Facts(pod=pod, container=container, result=TaskResult(text, error)), Lookup()), None
    )


def add_reference(sentence: str, pod: Json, container: str) -> str:
    """Add to a sentence, which tells why a result could not be read, where the documentation explains it."""
    cause = check_result(pod, container, error=sentence)
    return f"{sentence} {cause.reference}" if cause else sentence
