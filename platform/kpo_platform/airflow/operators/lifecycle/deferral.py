"""Defer a task, so that a trigger waits for its pod."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.providers.cncf.kubernetes.kubernetes_helper_functions import PodLaunchFailedException
from airflow.providers.cncf.kubernetes.triggers.pod import KubernetesPodTrigger
from airflow.triggers.base import BaseTrigger

from kpo_platform.airflow.api_errors import describe_failure
from kpo_platform.airflow.operators.lifecycle import quota_wait
from kpo_platform.airflow.operators.lifecycle.log_positions import LogProgress
from kpo_platform.airflow.operators.lifecycle.observed_pod import ObservedPod
from kpo_platform.airflow.operators.lifecycle.pod_diagnosis import find_final_cause
from kpo_platform.airflow.operators.lifecycle.trigger_finish import plan_finish
from kpo_platform.airflow.triggers.team_pod import TeamPodTrigger
from kpo_platform.diagnosis.cause import LONGEST_SENTENCE
from kpo_platform.pod.cluster_text import sanitize
from kpo_platform.pod.identity import START_LABEL
from kpo_platform.pod.reported_end import CANNOT_START

if TYPE_CHECKING:
    from airflow.sdk import Context

_MAX_REDEFERRALS = 3
"""Deferrals after an error of the trigger; then the worker waits for the pod itself."""


def defer(operator: Any, context: Context, progress: LogProgress | None) -> None:
    """Defer; return if that fails, as when Airflow does not give out the connection now: the worker waits then.

    Raises:
        TaskDeferred: the task is deferred.
        TaskStopped: the task was stopped before.
    """
    try:
        operator.invoke_defer_method(last_log_time=progress.last_log_time if progress else None, context=context)
    except Exception as error:
        warn_that_worker_waits(operator, describe_failure(error).rstrip("."))


def warn_that_worker_waits(operator: Any, why: str) -> None:
    """Log why a deferrable task does not defer."""
    operator.log.warning("Cannot defer: %s. The task waits for its pod in the worker instead.", why)


def choose_trigger(
    operator: Any, context: Context, trigger: BaseTrigger, pod: ObservedPod, progress: LogProgress | None
) -> BaseTrigger:
    """Return the platform's trigger for a pod in place of the stock one.

    The stock one stays if it reads the log while it waits (`logging_interval`), and in an author's subclass that has a
    trigger of its own.
    """
    if type(trigger) is not KubernetesPodTrigger or trigger.logging_interval is not None:
        return trigger
    _, arguments = trigger.serialize()
    plan = plan_finish(operator, context, pod, progress)
    own = {
        "pod_uid": pod.state.uid or None,
        "start": pod.state.labels.get(START_LABEL),
        "finish": plan and plan.serialize(),
    }
    return TeamPodTrigger(**{**arguments, **own})


def defer_again(
    operator: Any, context: Context, event: Mapping[str, Any], pod: ObservedPod, progress: LogProgress | None
) -> None:
    """Defer with a pod that has not ended although its trigger has; return if nothing would watch the pod.

    Raises:
        PodLaunchFailedException: the pod can never start.
        Exception: as of `defer`.
    """
    count = int(event.get("_redefer_count", 0))
    if not pod.has_left_pending:
        is_told = event.get(CANNOT_START) is True
        cause = sanitize(event.get("message"), LONGEST_SENTENCE) if is_told else find_final_cause(operator, pod)
        if cause:
            raise PodLaunchFailedException(f"{cause} Pod: {pod.state.name}.")
    reported = sanitize(event.get("message"))
    operator.log.info("Pod %s has not ended; its trigger reported: %s", pod.state.name, reported)
    quota_wait.shorten_schedule_timeout(operator, context, pod.model)
    if count < _MAX_REDEFERRALS:
        operator.trigger_kwargs = {**(operator.trigger_kwargs or {}), "_redefer_count": count + 1}
        defer(operator, context, progress)
