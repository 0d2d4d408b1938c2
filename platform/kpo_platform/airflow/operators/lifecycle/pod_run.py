"""The run of a team's pod: the stock operator's, where it does what was agreed, and ours where it does not."""

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
from kpo_platform.airflow.operators.lifecycle.pod_manager import TeamPodManager
from kpo_platform.airflow.operators.lifecycle.task_state import TryState, build_reschedule
from kpo_platform.pod.disruption import disruption, disruption_in_events

if TYPE_CHECKING:
    from airflow.sdk import Context

_IDENTITY = "pod_identifier"  # the stock operator's key in Airflow's store for the state of a task
_MOST_DISRUPTIONS = 3
_STAYS = "but its pod goes on: on_kill_action is 'keep_pod'."
_PAUSE_S = 10  # also long enough for Airflow to see that the process of the last start has ended

_SAYS_MORE = (AirflowTaskTimeout, PodLaunchFailedException, PodLaunchTimeoutException)
"""Failures whose own words the stock clean-up would replace by "returned a failure"."""

_NOT_THE_CLUSTER = (
    AirflowFailException,
    AirflowRescheduleException,
    AirflowSkipException,
    AirflowTaskTimeout,
    quota_wait.QuotaTimeout,
)
"""What ends a task for a reason that is known already."""


class RestartSafePodOperator(KubernetesPodOperator):
    """A KubernetesPodOperator whose pod outlives the platform's restarts, and nothing else.

    - SIGTERM deletes the pod only when the task's user stopped it; a shutdown of the worker leaves the pod, and the
      task starts again without using one of its tries and takes the same pod (by uid) up again.
    - A pod that the cluster disrupted (eviction, preemption, loss of the node) is started again, at most three times in
      a try, without using one of the task's tries.
    - A creation that the quota refuses waits until there is room.
    - A pod that stays is named in the log, with the commands to look at it; none stays running but one that
      ``on_kill_action`` keeps.
    """

    team: str
    on_failure: str = ""
    quota_wait_start: float | None = None
    _works: bool = False
    _creates: bool = False
    _late: bool = False
    _cleaned: bool = False
    _seen_end: bool = False
    _disrupted: str | None = None
    _result: Any = None

    @cached_property
    def pod_manager(self) -> TeamPodManager:
        """Creates and watches pods for the process of the task."""
        return TeamPodManager(kube_client=self.client, callbacks=self.callbacks)

    def execute(self, context: Context) -> Any:
        """Run the pod, or start it and defer."""
        with self._outcome(context):
            result = super().execute(context)
        # The stock operator drops the result of a pod that ended before it could defer (apache/airflow#72821).
        return self._result if self.deferrable else result

    def trigger_reentry(self, context: Context, event: dict[str, Any]) -> Any:
        """Go on when the trigger has seen the pod's end, or the task's time is over."""
        if event["status"] == "timeout":
            # The stock operator would follow the log of the pod that is to be ended until that pod is silent.
            self.logging_interval, self._late = self.logging_interval or 1, True
        with self._outcome(context, k8s.V1ObjectMeta(name=event["name"], namespace=event["namespace"])):
            self._result = super().trigger_reentry(context, event)
        return self._result

    def on_kill(self) -> None:
        """Called on SIGTERM, and when ``execution_timeout`` is over; only the latter is surely the task's own end."""
        if isinstance(sys.exc_info()[1], AirflowTaskTimeout):
            if not self._cleaned:
                self._let_go_when_killed()
        elif self._works:
            self._killed = True
            termination.interrupt_task(self._creates)
            self._killed = False

    def get_or_create_pod(self, pod_request_obj: k8s.V1Pod, context: Context) -> k8s.V1Pod:
        """The pod of an earlier start of this task, when it still runs; else a new one, when the quota has room."""
        earlier = self._earlier_pod(pod_request_obj, context) if self.reattach_on_restart else None
        if earlier is not None and earlier.status.phase not in ("Succeeded", "Failed"):
            self.log.info("The pod %s of an earlier start goes on.", earlier.metadata.name)
            return earlier
        if earlier is not None:
            self.patch_already_checked(earlier, reraise=False)
            self.process_pod_deletion(earlier, reraise=False)
        created = quota_wait.create_within_quota(self, pod_request_obj, context)
        if self.reattach_on_restart:
            self._persist_pod_identity_to_task_state_store(context, created)
        return created

    def create_pod(self, pod: k8s.V1Pod) -> k8s.V1Pod:
        """Create the pod, whose name a stop that comes meanwhile has to know.

        Raises:
            ApiException: the cluster refused it.
        """
        self._creates = True
        try:
            self.pod = self.pod_manager.create_pod(pod)
        finally:
            self._creates = False
        return self.pod

    def cleanup(
        self,
        pod: k8s.V1Pod,
        remote_pod: k8s.V1Pod,
        xcom_result: dict[str, Any] | None = None,
        context: Context | None = None,
    ) -> None:
        """Remove the pod or leave it, and fail when it failed, as the stock operator does.

        Raises:
            AirflowException: the pod failed; unless what is being raised already says more, as a refusal of the cluster
                does about a pod that has not ended.
            AirflowSkipException: it ended with one of the codes that mean to skip the task.
        """
        cause, self._cleaned = sys.exc_info()[1], remote_pod is not None
        if remote_pod and not self._killed:
            remote_pod = self._look_at_the_end(remote_pod)
        try:
            super().cleanup(pod, remote_pod, xcom_result, context)
        except AirflowSkipException:
            raise
        except AirflowException:
            refused = isinstance(cause, ApiException) and remote_pod.status.phase != "Failed"
            if not (self._late or refused or isinstance(cause, _SAYS_MORE)):
                raise

    def invoke_defer_method(self, last_log_time: Any = None, context: Context | None = None) -> None:
        """Defer; nobody but the trigger, which says nothing, sees a stop that comes meanwhile."""
        if self._outlives_a_stop and last_log_time is None:
            self.log.info("When the task is stopped: %s", describe_kept_pod(self.pod, self.base_container_name))
        super().invoke_defer_method(last_log_time=last_log_time, context=context)

    def process_pod_deletion(self, pod: k8s.V1Pod, *, reraise: bool = True) -> bool:
        """Delete the pod unless the task or its team wants it to stay, and tell of one that stays.

        Returns:
            Whether it was deleted.
        """
        try:
            return pod is not None and self._let_go(pod)
        except Exception as error:
            if reraise:
                raise
            self.log.warning("The pod %s could not be removed: %s", pod.metadata.name, error)
            return False

    def _let_go(self, pod: k8s.V1Pod) -> bool:
        now = self.pod_manager.read_current_pod(pod)
        if now is None:
            return True
        decided = decide_disposal(now, self.on_finish_action, self.on_failure, self.base_container_name)
        if decided is PodDisposal.DELETE:
            self.log.info("Deleting pod: %s", now.metadata.name)
            self.pod_manager.delete_pod(now)
            return True
        if decided is PodDisposal.TERMINATE_AND_KEEP:
            self.pod_manager.terminate_pod(now)
        self.log.info(describe_kept_pod(now, self.base_container_name))
        return False

    def _earlier_pod(self, request: k8s.V1Pod, context: Context) -> k8s.V1Pod | None:
        pod = self._get_pod_from_task_state_store(context)
        store: Any = context.get("task_state_store")
        if pod is not None and store.get(_IDENTITY).get("uid", pod.metadata.uid) == pod.metadata.uid:
            return pod
        found = self.find_pod(request.metadata.namespace, context=context)
        if found is not None:
            self._persist_pod_identity_to_task_state_store(context, found)
        return found

    def _persist_pod_identity_to_task_state_store(self, context: Context, pod: k8s.V1Pod) -> None:
        """Keep the uid too: another pod may get the name (apache/airflow#71743)."""
        store, metadata = context.get("task_state_store"), pod.metadata
        if store is not None:
            store.set(_IDENTITY, {"name": metadata.name, "namespace": metadata.namespace, "uid": metadata.uid})

    def _look_at_the_end(self, pod: k8s.V1Pod) -> k8s.V1Pod:
        """The pod as it ended, with the reason; the stock operator may still hold it as it began."""
        done = pod.status.phase == "Succeeded"
        now = pod if done else self.pod_manager.read_current_pod(pod)
        if now is None:
            return pod
        self._seen_end, self._disrupted = True, disruption(serialize_pod(now))
        return now

    @contextmanager
    def _outcome(self, context: Context, metadata: k8s.V1ObjectMeta | None = None) -> Iterator[None]:
        """Tell a stop from a shutdown, and a disruption from a failure of the program."""
        self._works = True
        try:
            yield
        except termination.TaskStopped:
            self._works = False
            self._stopped(context)
        except _NOT_THE_CLUSTER:
            raise
        except (AirflowException, ApiException) as failure:
            why = self._disrupted if self._seen_end else self._why_gone(metadata)
            if why is None or self._late:
                raise
            self._again(context, why, failure)
        finally:
            self._works = False

    def _stopped(self, context: Context) -> None:
        if not termination.is_task_active(context):
            kept = self._let_go_when_killed()
            raise AirflowException(f"The task was stopped, {_STAYS if kept else 'and its pod with it.'}") from None
        name = self.pod.metadata.name if self.pod else "not created yet"
        self.log.info("This worker shuts down. The pod (%s) stays, and the task takes it up again elsewhere.", name)
        raise build_reschedule(_PAUSE_S) from None

    def _let_go_when_killed(self) -> bool:
        """Delete the pod, or tell of one that the task wants to outlive it; whether it stays."""
        super().on_kill()
        if self._outlives_a_stop:
            self.log.info(describe_kept_pod(self.pod, self.base_container_name))
        return self._outlives_a_stop

    @property
    def _outlives_a_stop(self) -> bool:
        return self.pod is not None and self.on_kill_action == OnKillAction.KEEP_POD

    def _why_gone(self, metadata: k8s.V1ObjectMeta | None) -> str | None:
        """What happened to a pod whose end nobody saw, because it is gone; a program cannot remove its own pod."""
        metadata = self.pod.metadata if self.pod else metadata
        if metadata is None:
            return None
        pod = k8s.V1Pod(metadata=metadata)
        try:
            if self.pod_manager.read_current_pod(pod) is not None:
                return None
            events = self.pod_manager.read_pod_events(pod).items
        except ApiException as error:
            self.log.warning("What became of the pod %s is not known: %s", metadata.name, error.reason)
            return None
        return disruption_in_events(serialize_pod(event) for event in events) or "it is gone"

    def _again(self, context: Context, why: str, failure: Exception) -> None:
        """Have Airflow start the task again, unless that was done too often in this try."""
        memory = TryState(context, "disruptions")
        count = memory.recall().get("count", 0)
        if count >= _MOST_DISRUPTIONS or not memory.lasts:
            raise AirflowException(
                f"The cluster took the pod away ({why}), as it did {count} times before in this try: see what else "
                "runs on its node, or give the pod resources and a priority class that protect it."
            ) from failure
        memory.keep(count=count + 1)
        self.log.warning(
            "The cluster took the pod away (%s); it starts again (%d of %d), which uses none of the task's retries.",
            *(why, count + 1, _MOST_DISRUPTIONS),
        )
        raise build_reschedule(_PAUSE_S) from None
