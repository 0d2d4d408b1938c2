"""Say why the pod of a task does not run, or has failed, with the rights of the task."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from kubernetes.client import ApiException
from kubernetes.client import models as k8s

from kpo_platform.airflow.api_errors import ApiRefusal, describe_error, read_message
from kpo_platform.airflow.operators.arguments.serialize import serialize_pod
from kpo_platform.airflow.operators.lifecycle.observed_pod import ObservedPod, PodEventLog
from kpo_platform.airflow.operators.lifecycle.pod_api import PodApi
from kpo_platform.airflow.operators.lifecycle.pod_logs import PodLogs
from kpo_platform.airflow.operators.lifecycle.task_reader import TaskReader
from kpo_platform.contract import Team
from kpo_platform.contract import load as load_contract
from kpo_platform.diagnosis.cause import Cause
from kpo_platform.diagnosis.diagnose import Diagnosis, diagnose
from kpo_platform.diagnosis.facts import Facts
from kpo_platform.diagnosis.reading import diagnose_with
from kpo_platform.diagnosis.signals import Rejection
from kpo_platform.diagnosis.start_wait import find_final
from kpo_platform.errors import PlatformError
from kpo_platform.pod.merge import Json
from kpo_platform.pod.outcome import Outcome, OutcomeKind


def read_team(operator: Any) -> Team | None:
    """Read the task's team from the contract; None if that cannot be read, or no longer has the team."""
    try:
        return load_contract().team(operator.team)
    except PlatformError:
        return None


def diagnose_start(operator: Any, api: PodApi, pod: ObservedPod, events: Iterable[Json]) -> Diagnosis:
    """Diagnose a pod that has not started; an error is only logged, because it must not hide the task's own failure.

    Args:
        operator: the task's operator.
        api: the task's requests.
        pod: the pod.
        events: its events.
    """
    return _diagnose(operator, TaskReader(api), {"pod": pod.manifest, "events": tuple(events)})


def find_final_cause(operator: Any, pod: ObservedPod) -> Cause | None:
    """Find from the state alone why a pod that has not started never will; None if it may start."""
    return find_final(diagnose(Facts(pod=pod.manifest, container=operator.base_container_name)).causes)


def write_events(operator: Any, api: PodApi, pod: ObservedPod) -> None:
    """Write the events of a pod that has failed into the task's log, if the task wants that."""
    if operator.log_events_on_failure and not pod.is_gone:
        _read_events(operator, api, pod)


def _read_events(operator: Any, api: PodApi, pod: ObservedPod) -> list[Json]:
    """Read the events of a pod that exists, and write them into the task's log if the task wants that."""
    log = PodEventLog(api, operator.log)
    events = log.read(pod.state)
    if operator.log_events_on_failure:
        log.write_after_failure(pod.state, events)
    return events


def diagnose_failure(operator: Any, api: PodApi, pod: ObservedPod, outcome: Outcome, logs: PodLogs) -> Diagnosis:
    """Diagnose a pod that has failed, before it is deleted, and write its events if the task wants that.

    Nothing is found if the pod does not show this outcome: only its trigger has seen it. See `diagnose_start`.
    """
    seen = pod.outcome
    is_shown = seen is not None and (seen.kind, seen.exit_code) == (outcome.kind, outcome.exit_code)
    if outcome.kind in (OutcomeKind.SUCCEEDED, OutcomeKind.SKIPPED) or not is_shown:
        write_events(operator, api, pod)
        return Diagnosis()
    events = pod.events if pod.is_gone else _read_events(operator, api, pod)
    reader, container = TaskReader(api), operator.base_container_name
    tail = logs.list_last_lines(container)  # empty if an earlier process has written them
    if not tail and not pod.is_gone and pod.state.container(container).exit_code:
        tail = reader.read_last_lines(operator.client.api_client, pod.state, container)
    facts = {"pod": pod.manifest, "events": tuple(events), "log_tail": tuple(tail), "is_gone": pod.is_gone}
    return _diagnose(operator, reader, facts)


@contextmanager
def explain_rejection(operator: Any, api: PodApi, pod: k8s.V1Pod) -> Iterator[None]:
    """Let a refusal of the API server to create a pod say its cause and what to do."""
    try:
        yield
    except ApiRefusal as refusal:
        if cause := _diagnose_rejection(operator, api, pod, refusal).main:
            refusal.sentence = f"{cause} Pod {pod.metadata.name} was not created."
        raise


def find_quota_cause(operator: Any, api: PodApi, pod: k8s.V1Pod, rejection: ApiException) -> Cause | None:
    """Find the cause of a refusal for the quota; None if the diagnosis only repeats the message."""
    cause = _diagnose_rejection(operator, api, pod, rejection).main
    return None if cause is None or cause.is_vague else cause


def _diagnose_rejection(operator: Any, api: PodApi, pod: k8s.V1Pod, rejection: ApiException) -> Diagnosis:
    facts = {"pod": serialize_pod(pod), "rejection": Rejection(rejection.status or 0, read_message(rejection))}
    return _diagnose(operator, TaskReader(api), facts)


def _diagnose(operator: Any, reader: TaskReader, facts: dict[str, Any]) -> Diagnosis:
    try:
        container, now = operator.base_container_name, datetime.fromtimestamp(time.time(), UTC)
        known = Facts(**facts, container=container, team=read_team(operator), team_name=operator.team, now=now)
        return diagnose_with(reader, known)
    except Exception as error:
        operator.log.warning("Cannot diagnose the pod (%s: %s).", type(error).__name__, describe_error(error))
        return Diagnosis()
