"""Why a pod of the release is not ready, or has failed, by its status and its events."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from kpo_platform.diagnosis.diagnose import diagnose
from kpo_platform.diagnosis.facts import Facts
from kpo_platform.kube import Object
from kpo_platform.pod.json_fields import read_object, read_objects, read_text

_DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
_BASE = "base"


def group_by_pod(events: Iterable[Object]) -> dict[str, list[Object]]:
    """Group events by the uid of their pod."""
    by_uid: dict[str, list[Object]] = defaultdict(list)
    for event in events:
        by_uid[read_text(read_object(event.get("involvedObject")).get("uid"))].append(event)
    return by_uid


def list_problems(pods: Iterable[Object], events: Mapping[str, Sequence[Object]]) -> list[str]:
    """List why pods are not ready, or have failed: cause, fix and code; what several pods have in common once.

    Args:
        pods: the pods.
        events: the events of pods, by the pod's uid.
    """
    causes = [cause for pod in pods for cause in diagnose(_collect_facts(pod, events)).causes]
    return list({(cause.finding.code, cause.finding.cause): str(cause) for cause in causes}.values())


def _collect_facts(pod: Object, events: Mapping[str, Sequence[Object]]) -> Facts:
    uid = read_text(read_object(pod.get("metadata")).get("uid"))
    return Facts(pod=pod, container=choose_container(pod), events=tuple(events.get(uid, ())))


def choose_container(pod: Object) -> str:
    """Choose the container that runs the program: that of a task's pod, the one that the pod names, or the first."""
    names = [read_text(each.get("name")) for each in read_objects(read_object(pod.get("spec")).get("containers"))]
    annotations = read_object(read_object(pod.get("metadata")).get("annotations"))
    named = read_text(annotations.get(_DEFAULT_CONTAINER)) or _BASE
    return named if named in names or not names else names[0]
