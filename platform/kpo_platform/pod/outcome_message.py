"""Sentences for a task's user about how its pod ended: the cause first, then what to do."""

from __future__ import annotations

import signal

from kpo_platform.pod.cluster_text import sanitize
from kpo_platform.pod.disruption import DEADLINE, DELETED, GONE, LOST, NOT_STARTED, OUT_OF, Termination, is_refusal
from kpo_platform.pod.state import CANNOT_START, ContainerState

_MAX_LENGTH = 500
_SIGNAL_EXIT_CODE = 128  # a shell and the container runtime report the end by signal N as exit code 128 + N

_CAUSES = {
    "it was deleted": (DELETED,),
    "it no longer exists, and no event tells why": (GONE,),
    "it ended before its program started": (NOT_STARTED,),
    "its node lost its container, as after a restart of the node": (LOST, "Unknown"),
    "its node no longer exists": ("DeletionByPodGC",),
    "its node got a taint that the pod does not tolerate": (
        "DeletionByTaintManager",
        "TaintManagerEviction",
        "TaintToleration",
    ),
    "its node was short of a resource": ("Evicted",),
    "it was evicted, as when its node is drained": ("EvictionByEvictionAPI",),
    "the labels of its node no longer matched": ("NodeAffinity",),
    "its node does not answer": ("NodeLost",),
    "its node was not ready": ("NodeNotReady",),
    "its node was shutting down": ("NodeShutdown", "Shutdown", "Terminated"),
    "a pod of higher priority took its place": ("Preempted", "PreemptionByScheduler"),
    "a critical pod of its node took its place": ("Preempting",),
    "its node ended it": ("TerminationByKubelet",),
}


def describe_disruption(cause: Termination) -> str:
    """Describe how the cluster ended a pod."""
    phrase = find_phrase(cause.reason)
    return join_sentences(f"The pod was disrupted by the cluster ({cause.reason}): {phrase}.", cause.message)


def find_phrase(reason: str) -> str:
    """Find the words for the reason of a disruption; "it" is the pod."""
    phrase = "its node refused it" if is_refusal(reason) else "the cluster ended it"
    if reason.startswith(OUT_OF):
        phrase = "its node had no room left"
    return next((each for each, reasons in _CAUSES.items() if reason in reasons), phrase)


def describe_own_limit(cause: Termination) -> str:
    """Describe the end of a pod by its own deadline or limit, or because no node can run what it asks for."""
    if cause.reason == DEADLINE:
        return (
            f"The pod ran longer than its activeDeadlineSeconds ({DEADLINE}). Raise active_deadline_seconds, or ask "
            "the platform team for a longer policy.maxRuntime."
        )
    if cause.reason == "Evicted":
        fix = "Write less to the pod's disk, or use a size with more ephemeral storage."
        return join_sentences("The pod exceeded its own limit of ephemeral storage (Evicted).", cause.message, fix)
    fix = "Remove from the pod what its nodes do not support; another start fails too."
    return join_sentences(f"The node refused the pod ({cause.reason}).", cause.message, fix)


def describe_exit(container: ContainerState) -> str:
    """Describe the failure of the container that runs the program."""
    if container.reason == "OOMKilled":
        limit = f"; its memory limit is {container.memory_limit}" if container.memory_limit else ""
        return (
            f"The program ran out of memory: container {container.name} was killed ({_format_exit(container)}){limit}. "
            "Use less memory, or a larger size."
        )
    if container.reason in CANNOT_START:
        return join_sentences(f"The program cannot start ({_format_exit(container)}).", container.message)
    failure = f"The program failed: container {container.name} ended with {_format_exit(container)}."
    return join_sentences(failure, container.message)


def describe_init_failure(container: ContainerState) -> str:
    """Describe the failure of an init container, after which the program does not start."""
    failure = f"Init container {container.name} failed with {_format_exit(container)}, so the program did not start."
    return join_sentences(failure, container.message)


def join_sentences(*sentences: str) -> str:
    """Join sentences; one from Kubernetes or a program is sanitized, and loses all but its end."""
    texts = (sanitize(sentence, 10**6) for sentence in sentences)
    return " ".join(_end(text if len(text) <= _MAX_LENGTH else f"… {text[-_MAX_LENGTH:]}") for text in texts if text)


def _format_exit(container: ContainerState) -> str:
    code = container.exit_code or 0
    words = [f"exit code {code}"]
    if container.reason == "OOMKilled" or container.reason in CANNOT_START:
        words.insert(0, container.reason)
    elif name := _find_signal(code):
        words.append(name)
    return ", ".join(words)


def _find_signal(exit_code: int) -> str:
    try:
        return signal.Signals(exit_code - _SIGNAL_EXIT_CODE).name
    except ValueError:
        return ""


def _end(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
