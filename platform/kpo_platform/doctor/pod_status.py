"""Why a pod of the release is not ready, or has failed, by its status and its events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kpo_platform.diagnosis.diagnose import diagnose
from kpo_platform.diagnosis.facts import Facts
from kpo_platform.kube import Object
from kpo_platform.pod.json_fields import read_object, read_objects, read_text

_DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
_BASE = "base"


def list_problems(pods: Iterable[Object], events: Mapping[str, tuple[Object, ...]]) -> list[str]:
    """List why pods are not ready, or have failed: cause, fix and code; what several pods have in common once.

    Args:
        pods: the pods.
        events: the events of pods, by the pod's uid.
    """
    causes = [cause for pod in pods for cause in diagnose(_collect_facts(pod, events)).causes]
    return list({(cause.finding.code, cause.finding.cause): str(cause) for cause in causes}.values())


def _collect_facts(pod: Object, events: Mapping[str, tuple[Object, ...]]) -> Facts:
    uid = read_text(read_object(pod.get("metadata")).get("uid"))
    return Facts(pod=pod, container=choose_container(pod), events=events.get(uid, ()))


def choose_container(pod: Object) -> str:
    """Choose the container that runs the program: that of a task's pod, the one that the pod names, or the first."""
    names = [read_text(each.get("name")) for each in read_objects(read_object(pod.get("spec")).get("containers"))]
    annotations = read_object(read_object(pod.get("metadata")).get("annotations"))
    named = read_text(annotations.get(_DEFAULT_CONTAINER)) or _BASE
    return named if named in names or not names else names[0]
