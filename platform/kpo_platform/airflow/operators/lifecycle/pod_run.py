"""A KubernetesPodOperator whose pod survives restarts of Airflow's components."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.cncf.kubernetes.kubernetes_helper_functions import PodLaunchFailedException
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.providers.cncf.kubernetes.utils.pod_manager import OnKillAction, PodLaunchTimeoutException
from airflow.sdk.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowRescheduleException,
    AirflowSkipException,
    AirflowTaskTimeout,
)
from kubernetes.client import ApiException
from kubernetes.client import models as k8s

from kpo_platform.airflow.operators.arguments.serialize import serialize_pod
from kpo_platform.airflow.operators.lifecycle import quota_wait, termination
from kpo_platform.airflow.operators.lifecycle.cleanup import PodDisposal, decide_disposal, describe_kept_pod
from kpo_platform.airflow.operators.lifecycle.engine import switch_engine
from kpo_platform.airflow.operators.lifecycle.pod_manager import TeamPodManager
from kpo_platform.airflow.operators.lifecycle.task_state import TryState, build_reschedule
from kpo_platform.pod.disruption import find_disruption, find_disruption_in_events

if TYPE_CHECKING:
    from airflow.sdk import Context

_IDENTITY = "pod_identifier"  # the stock operator's key in Airflow's task state store
_MAX_DISRUPTIONS = 3
_RESCHEDULE_DELAY_S = 10  # long enough for Airflow to notice that the task's former process has ended

_SPECIFIC_FAILURES = (AirflowTaskTimeout, PodLaunchFailedException, PodLaunchTimeoutException)
"""Failures with messages that the stock cleanup would replace by "returned a failure"."""

_NO_DISRUPTION = (
    AirflowFailException,
    AirflowRescheduleException,
    AirflowSkipException,
    AirflowTaskTimeout,
    quota_wait.QuotaTimeout,
)
"""Exceptions that cannot come from a disrupted pod."""


@switch_engine
class RestartSafePodOperator(KubernetesPodOperator):
    """A KubernetesPodOperator whose pod survives restarts of Airflow's components.

    - SIGTERM deletes the pod only if the task's user stopped it. When a worker shuts down, the pod stays; the task
      restarts in the same try and reattaches to the pod by its uid.
    - A pod that the cluster disrupted (eviction, preemption, loss of the node) is restarted, at most three times per
      try, without using a retry.
    - When the quota is exhausted, the task waits before it creates the pod.
    - With ``engine="stock"`` none of this applies: `switch_engine` puts the stock methods back.
    - The log names a kept pod and the commands to inspect it. A running pod is terminated before it is kept,
      unless ``on_kill_action`` keeps it.
    """

    team: str
    engine: str = "team"
    on_failure: str = ""
    quota_wait_start: float | None = None
    _is_working: bool = False
    _is_creating_pod: bool = False
    _has_timed_out: bool = False
    _has_cleaned_up: bool = False
    _has_read_ended_pod: bool = False
    _disruption: str | None = None
    _result: Any = None

    @cached_property
    def pod_manager(self) -> TeamPodManager:
        """The pod manager of the task's process."""
        return TeamPodManager(kube_client=self.client, callbacks=self.callbacks)

    def execute(self, context: Context) -> Any:
        """Run the pod, or start it and defer."""
        with self._handle_outcome(context):
            result = super().execute(context)
        # The stock operator drops the result of a pod that ended before it could defer (apache/airflow#72821).
        return self._result if self.deferrable else result

    def trigger_reentry(self, context: Context, event: dict[str, Any]) -> Any:
        """Resume after the trigger has reported the pod's end or the task's timeout."""
        if event["status"] == "timeout":
            # Without an interval, the stock operator follows the pod's log until the pod logs nothing more.
            self.logging_interval, self._has_timed_out = self.logging_interval or 1, True
        with self._handle_outcome(context, k8s.V1ObjectMeta(name=event["name"], namespace=event["namespace"])):
            self._result = super().trigger_reentry(context, event)
        return self._result

    def on_kill(self) -> None:
        """Handle SIGTERM and the end of ``execution_timeout``; only the latter is certain to end the task."""
        if isinstance(sys.exc_info()[1], AirflowTaskTimeout):
            if not self._has_cleaned_up:
                self._dispose_after_kill()
        elif self._is_working:
            self._killed = True
            termination.interrupt_task(self._is_creating_pod)
            self._killed = False

    def get_or_create_pod(self, pod_request_obj: k8s.V1Pod, context: Context) -> k8s.V1Pod:
        """Reattach to the running pod of an earlier process of this task, or create a new pod."""
        earlier = self._find_earlier_pod(pod_request_obj, context) if self.reattach_on_restart else None
        if earlier is not None and earlier.status.phase not in ("Succeeded", "Failed"):
            self.log.info("Reattached to pod %s, which an earlier process of this task created.", earlier.metadata.name)
            quota_wait.shorten_schedule_timeout(self, context, earlier)
            return earlier
        if earlier is not None:
            self.patch_already_checked(earlier, reraise=False)
            self.process_pod_deletion(earlier, reraise=False)
        created = quota_wait.create_within_quota(self, pod_request_obj, context)
        if self.reattach_on_restart:
            self._persist_pod_identity_to_task_state_store(context, created)
        return created

    def create_pod(self, pod: k8s.V1Pod) -> k8s.V1Pod:
        """Create the pod; delay a stop of the task until the pod's name is known.

        Raises:
            ApiException: the cluster rejected it.
        """
        self._is_creating_pod = True
        try:
            self.pod = self.pod_manager.create_pod(pod)
        finally:
            self._is_creating_pod = False
        return self.pod

    def cleanup(
        self,
        pod: k8s.V1Pod,
        remote_pod: k8s.V1Pod,
        xcom_result: dict[str, Any] | None = None,
        context: Context | None = None,
    ) -> None:
        """Delete or keep the pod as the stock operator does, and raise if the pod failed.

        Raises:
            AirflowException: the pod failed, and the exception being raised has no more specific message.
            AirflowSkipException: the pod ended with one of ``skip_on_exit_code``.
        """
        cause, self._has_cleaned_up = sys.exc_info()[1], remote_pod is not None
        if remote_pod and not self._killed:
            remote_pod = self._read_ended_pod(remote_pod)
        try:
            super().cleanup(pod, remote_pod, xcom_result, context)
        except AirflowSkipException:
            raise
        except AirflowException:
            # If the pod has not failed, the API server's error is more specific than "returned a failure".
            is_api_error = isinstance(cause, ApiException) and remote_pod.status.phase != "Failed"
            if not (self._has_timed_out or is_api_error or isinstance(cause, _SPECIFIC_FAILURES)):
                raise

    def invoke_defer_method(self, last_log_time: Any = None, context: Context | None = None) -> None:
        """Log the pod that a stop will keep, then defer; the trigger does not log it when the task is stopped."""
        if self._keeps_pod_on_kill and last_log_time is None:
            self.log.info("If the task is stopped: %s", describe_kept_pod(self.pod, self.base_container_name))
        super().invoke_defer_method(last_log_time=last_log_time, context=context)

    def process_pod_deletion(self, pod: k8s.V1Pod, *, reraise: bool = True) -> bool:
        """Delete the pod, or keep it and log how to inspect it, as the task or its team decides.

        Returns:
            Whether the pod is deleted.
        """
        try:
            return pod is not None and self._dispose(pod)
        except Exception as error:
            if reraise:
                raise
            self.log.warning("Cannot clean up pod %s: %s", pod.metadata.name, error)
            return False

    def _dispose(self, pod: k8s.V1Pod) -> bool:
        current = self.pod_manager.read_current_pod(pod)
        if current is None:
            return True
        disposal = decide_disposal(current, self.on_finish_action, self.on_failure, self.base_container_name)
        if disposal is PodDisposal.DELETE:
            self.log.info("Deleting pod: %s", current.metadata.name)
            self.pod_manager.delete_pod(current)
            return True
        if disposal is PodDisposal.TERMINATE_AND_KEEP:
            self.pod_manager.terminate_pod(current)
        self.log.info(describe_kept_pod(current, self.base_container_name))
        return False

    def _find_earlier_pod(self, request: k8s.V1Pod, context: Context) -> k8s.V1Pod | None:
        pod = self._get_pod_from_task_state_store(context)
        store: Any = context.get("task_state_store")
        if pod is not None and store.get(_IDENTITY).get("uid", pod.metadata.uid) == pod.metadata.uid:
            return pod
        labelled_pod = self.find_pod(request.metadata.namespace, context=context)
        if labelled_pod is not None:
            self._persist_pod_identity_to_task_state_store(context, labelled_pod)
        return labelled_pod

    def _persist_pod_identity_to_task_state_store(self, context: Context, pod: k8s.V1Pod) -> None:
        """Store the uid too: another pod may get the same name (apache/airflow#71743)."""
        store, metadata = context.get("task_state_store"), pod.metadata
        if store is not None:
            store.set(_IDENTITY, {"name": metadata.name, "namespace": metadata.namespace, "uid": metadata.uid})

    def _read_ended_pod(self, pod: k8s.V1Pod) -> k8s.V1Pod:
        """Read the ended pod and its disruption, if any; the stock operator may hold an outdated copy."""
        current = pod if pod.status.phase == "Succeeded" else self.pod_manager.read_current_pod(pod)
        if current is None:
            return pod
        self._has_read_ended_pod, self._disruption = True, find_disruption(serialize_pod(current))
        return current

    @contextmanager
    def _handle_outcome(self, context: Context, metadata: k8s.V1ObjectMeta | None = None) -> Iterator[None]:
        """Reschedule the task on a shutdown or a disruption of its pod; raise on a stop or a failure."""
        self._is_working = True
        try:
            yield
        except termination.TaskStopped:
            self._is_working = False
            self._handle_stop(context)
        except _NO_DISRUPTION:
            raise
        except (AirflowException, ApiException) as failure:
            disruption = self._disruption if self._has_read_ended_pod else self._find_deletion_cause(metadata)
            if disruption is None or self._has_timed_out:
                raise
            self._restart_after_disruption(context, disruption, failure)
        finally:
            self._is_working = False

    def _handle_stop(self, context: Context) -> None:
        if not termination.is_task_active(context):
            is_kept = self._dispose_after_kill()
            outcome = (
                "but its pod keeps running: on_kill_action is 'keep_pod'." if is_kept else "and its pod was deleted."
            )
            raise AirflowException(f"The task was stopped, {outcome}") from None
        if self.pod:
            name = self.pod.metadata.name
            self.log.info("The worker is shutting down: pod %s is kept. The task restarts and reattaches to it.", name)
        else:
            self.log.info("The worker is shutting down: the pod was not created yet. The task restarts.")
        raise build_reschedule(_RESCHEDULE_DELAY_S) from None

    def _dispose_after_kill(self) -> bool:
        """Delete the pod, or log how to inspect it if ``on_kill_action`` keeps it; return whether it is kept."""
        super().on_kill()
        if self._keeps_pod_on_kill:
            self.log.info(describe_kept_pod(self.pod, self.base_container_name))
        return self._keeps_pod_on_kill

    @property
    def _keeps_pod_on_kill(self) -> bool:
        return self.pod is not None and self.on_kill_action == OnKillAction.KEEP_POD

    def _find_deletion_cause(self, metadata: k8s.V1ObjectMeta | None) -> str | None:
        """Find the cause of a pod's deletion; None if the pod exists. A program cannot delete its own pod."""
        metadata = self.pod.metadata if self.pod else metadata
        if metadata is None:
            return None
        pod = k8s.V1Pod(metadata=metadata)
        try:
            if self.pod_manager.read_current_pod(pod) is not None:
                return None
            events = self.pod_manager.read_pod_events(pod).items
        except ApiException as error:
            self.log.warning("Cannot determine how pod %s ended: %s", metadata.name, error.reason)
            return None
        return find_disruption_in_events(serialize_pod(event) for event in events) or "it no longer exists"

    def _restart_after_disruption(self, context: Context, disruption: str, failure: Exception) -> None:
        """Make Airflow restart the task, at most `_MAX_DISRUPTIONS` times per try."""
        state = TryState(context, "disruptions")
        count = state.read().get("count", 0)
        if count >= _MAX_DISRUPTIONS or not state.is_available:
            restarts = (
                f"restarted {count} times in this try" if count else "not restarted: Airflow stores no task state"
            )
            raise AirflowException(
                f"The pod was disrupted by the cluster ({disruption}), and its task was {restarts}. Check the other "
                "workloads of its node, or set resource requests and a priority class that protect the pod."
            ) from failure
        state.write(count=count + 1)
        quota_wait.restart_clock(context)
        self.log.warning(
            "The pod was disrupted by the cluster (%s). The task restarts (%d of %d) without using a retry.",
            *(disruption, count + 1, _MAX_DISRUPTIONS),
        )
        raise build_reschedule(_RESCHEDULE_DELAY_S) from None
