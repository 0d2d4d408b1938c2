"""Why the pod of a run was refused, or does not run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kpo_platform.airflow.operators.arguments.serialize import serialize_pod
from kpo_platform.contract import Contract
from kpo_platform.contract import load as load_contract
from kpo_platform.diagnosis.cause import Cause
from kpo_platform.diagnosis.facts import Facts
from kpo_platform.diagnosis.reading import diagnose_with
from kpo_platform.diagnosis.signals import Rejection
from kpo_platform.doctor.pod_reader import PodReader
from kpo_platform.errors import PlatformError
from kpo_platform.kube import POD, Deadline, Kube
from kpo_platform.kube.dry_run import read_refusal

if TYPE_CHECKING:
    from kubernetes.client import ApiException

_TIMEOUT_S = 10.0


def explain_refusal(operator: Any, pod: Any, error: ApiException) -> Cause | None:
    """Find why the API server has refused the pod; None if it has refused the user.

    Args:
        operator: the operator, whose connection is used.
        pod: the V1Pod that was sent.
        error: the refusal.
    """
    refusal = read_refusal(error)
    if refusal is None:
        return None
    body = serialize_pod(pod)
    _, reader = _connect(operator)
    rejection = Rejection(refusal.status, refusal.message)
    facts = Facts(pod=body, container=operator.base_container_name, rejection=rejection)
    return diagnose_with(reader, reader.find_team(facts, body["metadata"]["namespace"])).main


def explain_pod(operator: Any) -> Cause | None:
    """Find why the operator's pod does not run, or has failed; None if it works, or if that cannot be read."""
    pod = operator.pod or operator.pod_request_obj
    if pod is None:
        return None
    kube, reader = _connect(operator)
    try:
        return reader.diagnose(kube.get(POD, pod.metadata.name, pod.metadata.namespace)).main
    except PlatformError:
        return None


def _connect(operator: Any) -> tuple[Kube, PodReader]:
    kube = Kube(operator.client.api_client, Deadline(_TIMEOUT_S))
    return kube, PodReader(kube, _read_contract())


def _read_contract() -> Contract | None:
    try:
        return load_contract()
    except PlatformError:
        return None
