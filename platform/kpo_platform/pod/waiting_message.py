"""Sentences for a task's user about why its program has not started yet."""

from __future__ import annotations

from kpo_platform.pod.outcome_message import join_sentences
from kpo_platform.pod.state import ContainerState, PodState

_PREPARING = frozenset({"", "ContainerCreating", "PodInitializing"})

_IMAGE = frozenset(
    {
        "ErrImageNeverPull",
        "ErrImagePull",
        "ImageInspectError",
        "ImagePullBackOff",
        "InvalidImageName",
        "RegistryUnavailable",
        "SignatureValidationFailed",
    }
)


def describe_wait(state: PodState, container: str) -> str:
    """Describe why a pod has not started its program; empty if it has, or if the status does not tell.

    Args:
        state: the pod.
        container: the name of the container that runs the program.
    """
    program = state.container(container)
    if program.has_started or state.has_ended:
        return ""
    scheduled = state.condition("PodScheduled")
    if scheduled is not None and scheduled.status == "False":
        return join_sentences(f"No node can take the pod ({scheduled.reason or 'Unschedulable'}).", scheduled.message)
    before = [each for each in state.containers if each.kind != "main"]
    for each in (*before, program):
        if each.phase == "waiting" and each.reason not in _PREPARING:
            return _describe_blocked(each)
    running = next((each for each in before if each.kind == "init" and each.phase == "running"), None)
    if running is not None:
        return f"Init container {running.name} is still running."
    if program.reason:
        return f"The node prepares container {program.name} ({program.reason}); the pod's events tell more."
    return ""


def _describe_blocked(container: ContainerState) -> str:
    if container.reason in _IMAGE:
        image = f"Image {container.image} of container {container.name}"
        return join_sentences(f"{image} cannot be pulled ({container.reason}).", container.message)
    return join_sentences(f"Container {container.name} cannot start ({container.reason}).", container.message)
