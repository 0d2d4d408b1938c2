"""Whether a deferred task's pod has started, and the problem with its image that keeps it from that."""

from __future__ import annotations

from airflow.providers.cncf.kubernetes.pod_generator import PodGenerator
from airflow.providers.cncf.kubernetes.utils.pod_manager import detect_pod_terminate_early_issues

from kpo_platform.pod.cluster_text import sanitize
from kpo_platform.pod.merge import Json
from kpo_platform.pod.state import PodState


def has_started(pod: PodState | None, container: str) -> bool:
    """Tell whether the container of a pod, or the pod itself, has started."""
    return pod is not None and (pod.container(container).has_started or pod.phase not in ("Pending", "Unknown", ""))


def waits_for_image(pod: PodState, container: str) -> bool:
    """Tell whether the reason of a wait names the image, as all of an image problem do, which is costly to look for."""
    reasons = (each.reason for each in pod.containers if each.phase == "waiting")
    return any("Image" in reason for reason in reasons) and not has_started(pod, container)


def find_image_problem(pod: Json | None) -> str:
    """Find why the pod's image can never be pulled."""
    problem = detect_pod_terminate_early_issues(PodGenerator.deserialize_model_dict(pod))
    return sanitize(problem) if problem else ""
