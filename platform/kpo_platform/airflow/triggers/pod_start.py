"""Whether the pod of a deferred task has started."""

from __future__ import annotations

from kpo_platform.pod.state import PodState


def has_started(pod: PodState | None, container: str) -> bool:
    """Tell whether the container of a pod, or the pod itself, has started."""
    return pod is not None and (pod.container(container).has_started or pod.phase not in ("Pending", "Unknown", ""))
