"""What keeps a pod from being ready, in the words of the cluster."""

from __future__ import annotations

from collections.abc import Iterator

from kpo_platform.kube import Object

_LONGEST = 300


def trouble(pod: Object) -> str:
    """Why a pod is not ready, as far as its status tells; empty where it does not.

    Args:
        pod: the pod.
    """
    status = pod.get("status", {})
    for condition in status.get("conditions", ()):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return f"finds no node: {_short(condition.get('message', ''))}"
    every = (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ()))
    return "; ".join(text for each in every for text in _container(each))


def last_words(pod: Object) -> str:
    """What a pod's failed containers said when they ended; empty where they said nothing."""
    every = pod.get("status", {}).get("containerStatuses", ())
    ended = [state for each in every for state in _ends(each) if state.get("exitCode")]
    return _short(next((state["message"] for state in ended if state.get("message")), ""))


def _container(status: Object) -> Iterator[str]:
    name, waiting = status["name"], status.get("state", {}).get("waiting", {})
    ended = next((state for state in _ends(status) if state.get("exitCode")), None)
    if waiting.get("reason", "PodInitializing") not in ("PodInitializing", "ContainerCreating"):
        said = waiting["reason"] if ended else f"{waiting['reason']}: {_short(waiting.get('message', ''))}"
        yield f"container {name} waits ({said})"
    if ended and not status.get("ready"):
        message = f": {_short(ended['message'])}" if ended.get("message") else ""
        yield f"container {name} ended with exit code {ended['exitCode']} ({ended.get('reason', 'Error')}){message}"


def _ends(status: Object) -> Iterator[Object]:
    for state in ("state", "lastState"):
        if ended := status.get(state, {}).get("terminated"):
            yield ended


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= _LONGEST else f"… {flat[-_LONGEST:]}"
