"""Build the pod of a task's first start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubernetes.client import models as k8s

from kpo_platform.airflow.operators.lifecycle.start_record import build_pod_name, build_start_id

if TYPE_CHECKING:
    from airflow.sdk import Context


def build_pod_request(operator: Any, context: Context) -> tuple[str, k8s.V1Pod]:
    """Build the pod, and return the author's name and the pod, whose name has the start's id as its suffix."""
    has_suffix = operator.random_name_suffix
    operator.random_name_suffix = False
    try:
        request: k8s.V1Pod = operator.build_pod_request_obj(context)
    finally:
        operator.random_name_suffix = has_suffix
    base_name = request.metadata.name
    if has_suffix:
        request.metadata.name = build_pod_name(base_name, build_start_id(str(context["ti"].id), 0))
    return base_name, request
