"""Pods and events as facts of a diagnosis."""

from __future__ import annotations

from typing import Any

from kpo_platform.diagnosis.cause import Cause
from kpo_platform.diagnosis.diagnose import diagnose
from kpo_platform.diagnosis.facts import Facts
from kpo_platform.diagnosis.need import Answer, Need
from kpo_platform.diagnosis.signals import Rejection

NAMESPACE = "team-alpha"
IMAGE = "registry.test/job:1"


def build_pod(spec: dict[str, Any] | None = None, **status: Any) -> dict[str, Any]:
    """Return a v1 Pod with a container `base`, unless the spec has others."""
    return {
        "metadata": {"name": "report", "namespace": NAMESPACE, "uid": "u"},
        "spec": {"containers": [{"name": "base", "image": IMAGE}], **(spec or {})},
        "status": {"phase": "Pending", **status},
    }


def wait_for(reason: str, message: str = "", name: str = "base") -> dict[str, Any]:
    """Return the status of a container that waits."""
    return {"name": name, "state": {"waiting": {"reason": reason, "message": message}}}


def end_with(exit_code: int, reason: str = "Error", message: str = "", name: str = "base") -> dict[str, Any]:
    """Return the status of a container that has ended."""
    times = {"startedAt": "2026-11-30T10:00:00Z", "finishedAt": "2026-11-30T10:00:05Z"}
    state = {"exitCode": exit_code, "reason": reason, "message": message, **times}
    return {"name": name, "state": {"terminated": state}}


def build_event(
    reason: str,
    message: str,
    container: str = "",
    about: tuple[str, str] = ("Pod", "report"),
    time: str = "2026-11-30T10:00:00Z",
) -> dict[str, Any]:
    """Return a v1 Event."""
    involved = {"kind": about[0], "name": about[1], "namespace": NAMESPACE}
    if container:
        involved["fieldPath"] = f"spec.containers{{{container}}}"
    return {"reason": reason, "message": message, "involvedObject": involved, "lastTimestamp": time}


def reject(status: int, message: str, **spec: Any) -> Facts:
    """Return the facts of a pod that the API server has refused to create."""
    return Facts(pod=build_pod(spec), rejection=Rejection(status, message))


def answer(*objects: dict[str, Any], refusal: str = "") -> Answer:
    """Return what the cluster has answered."""
    return Answer(objects, refusal)


def find_causes(facts: Facts, answers: dict[Need, Answer] | None = None) -> list[tuple[str, str, str, str]]:
    """Return code, outlook, object and sentence of each cause, the first one first."""
    return [_summarize(cause) for cause in diagnose(facts, answers).causes]


def _summarize(cause: Cause) -> tuple[str, str, str, str]:
    return cause.finding.code, cause.outlook, str(cause.finding.object), cause.finding.cause
