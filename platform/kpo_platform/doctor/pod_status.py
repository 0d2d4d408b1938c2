"""Describe why a pod is not ready, from its status."""

from __future__ import annotations

from collections.abc import Iterator

from kpo_platform.kube import Object

_MAX_LENGTH = 300


def describe_problem(pod: Object) -> str:
    """Describe why a pod is not ready; empty if its status has no reason.

    Args:
        pod: the pod.
    """
    status = pod.get("status", {})
    for condition in status.get("conditions", ()):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return f"not scheduled: {_shorten(condition.get('message', ''))}"
    containers = (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ()))
    return "; ".join(problem for container in containers for problem in _describe_container(container))


def read_termination_message(pod: Object) -> str:
    """Return the first termination message of a pod's failed containers; empty if there is none."""
    containers = pod.get("status", {}).get("containerStatuses", ())
    states = [state for container in containers for state in _list_terminations(container) if state.get("exitCode")]
    return _shorten(next((state["message"] for state in states if state.get("message")), ""))


def _describe_container(container: Object) -> Iterator[str]:
    name, waiting = container["name"], container.get("state", {}).get("waiting", {})
    failure = next((state for state in _list_terminations(container) if state.get("exitCode")), None)
    if waiting.get("reason", "PodInitializing") not in ("PodInitializing", "ContainerCreating"):
        cause = waiting["reason"] if failure else f"{waiting['reason']}: {_shorten(waiting.get('message', ''))}"
        yield f"container {name} is waiting ({cause})"
    if failure and not container.get("ready"):
        message = f": {_shorten(failure['message'])}" if failure.get("message") else ""
        reason = failure.get("reason", "Error")
        yield f"container {name} terminated with exit code {failure['exitCode']} ({reason}){message}"


def _list_terminations(container: Object) -> Iterator[Object]:
    for field in ("state", "lastState"):
        if terminated := container.get(field, {}).get("terminated"):
            yield terminated


def _shorten(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _MAX_LENGTH else f"… {line[-_MAX_LENGTH:]}"
