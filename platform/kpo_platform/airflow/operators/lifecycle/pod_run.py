"""A KubernetesPodOperator whose pod survives restarts of Airflow's components and outages of the API server."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.providers.cncf.kubernetes.utils.pod_manager import OnKillAction, PodManager
from airflow.sdk.exceptions import AirflowException, AirflowTaskTimeout
from kubernetes.client import CoreV1Api
from kubernetes.client import models as k8s

from kpo_platform.airflow.operators.lifecycle.callbacks import fail_on_exit
from kpo_platform.airflow.operators.lifecycle.deferral import choose_trigger
from kpo_platform.airflow.operators.lifecycle.disposal import describe_kept_pod
from kpo_platform.airflow.operators.lifecycle.engine import switch_engine, warn_of_unused_overrides
from kpo_platform.airflow.operators.lifecycle.error_log import shorten_tracebacks
from kpo_platform.airflow.operators.lifecycle.patience import DEFAULT_TIMEOUT_S, Patience
from kpo_platform.airflow.operators.lifecycle.pod_manager import TeamPodManager
from kpo_platform.airflow.operators.lifecycle.restart import RESCHEDULE_DELAY_S
from kpo_platform.airflow.operators.lifecycle.run import PodRun
from kpo_platform.airflow.operators.lifecycle.stop_signal import StopSignal, TaskStopped
from kpo_platform.airflow.operators.lifecycle.task_state import build_reschedule, is_task_active
from kpo_platform.pod.xcom import ResultMode

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.triggers.base import BaseTrigger

_TRIGGER_FAILED = "__fail__"
"""Airflow's name of the method with which it resumes a task whose trigger failed or timed out (3.3, sdk)."""


@switch_engine
class RestartSafePodOperator(KubernetesPodOperator):
    """A KubernetesPodOperator that loses and doubles no work (docs/running-pods.md).

    - SIGTERM deletes the pod only if the task's user stopped it. When a worker shuts down, the pod stays; the task
      restarts in the same try, and takes up the pod, or its result, by its uid.
    - It deletes a pod for a reason, never for an outage of the API server.
    - A pod that the cluster disrupted is restarted, at most three times per try, without using a retry.
    - The end of the container ``base`` is the end of the task, whatever sidecars do.
    """

    team: str
    engine: str = "team"
    on_failure: str = ""
    set_names: frozenset[str] = frozenset()
    api_server_timeout: float = DEFAULT_TIMEOUT_S
    result_mode: ResultMode = ""
    defer_after: float = 0.0
    can_finish_in_triggerer: bool = False
    quota_wait_start: float | None = None
    whole_schedule_timeout: int | None = None
    patience: Patience
    has_cleaned_up: bool = False
    finish_undeferred: Callable[[], Any] | None = None
    _run: PodRun | None = None

    @cached_property
    def stop_signal(self) -> StopSignal:
        """The signal that ends the task's process."""
        return StopSignal()

    @cached_property
    def client(self) -> CoreV1Api:
        """The client of the API server, which the author's callbacks get when it is built."""
        with fail_on_exit("on_sync_client_creation"):
            return super().client

    @cached_property
    def pod_manager(self) -> PodManager:
        """The stock manager, which leaves the XCom sidecar running until the result is stored."""
        return TeamPodManager(kube_client=self.client, callbacks=self.callbacks)

    def execute(self, context: Context) -> Any:
        """Run the pod, or start it and defer."""
        warn_of_unused_overrides(self)
        with self._handle_stop(context):
            return self._open_run(context).execute()

    def trigger_reentry(self, context: Context, event: dict[str, Any]) -> Any:
        """Resume after the trigger has reported the pod's end or the task's timeout."""
        if self.finish_undeferred is not None:
            return self.finish_undeferred()
        run = self._open_run(context, event)  # a stop that has come before needs the event, too
        with self._handle_stop(context):
            return run.resume()

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume after a deferral; end the pod if the trigger failed, since no trigger watches the pod any more."""
        if next_method == _TRIGGER_FAILED:
            with self._handle_stop(context):
                self._open_run(context).end_failed()
        return super().resume_execution(next_method, next_kwargs, context)

    def on_kill(self) -> None:
        """Handle SIGTERM and the end of ``execution_timeout``; only the latter is certain to end the task.

        SIGTERM may come while the run outlasts the timeout, to tell how the program had ended before.
        """
        is_late = isinstance(sys.exc_info()[1], AirflowTaskTimeout)
        if not is_late or (self.stop_signal.is_listening and not self.has_cleaned_up):
            self.stop_signal.receive()
        elif not self.has_cleaned_up and self._run is not None:
            self.has_cleaned_up = True  # SIGTERM does not begin it again
            self._run.end_failed()  # not as a user's stop, which may keep the pod running

    def get_or_create_pod(self, pod_request_obj: k8s.V1Pod, context: Context) -> k8s.V1Pod:
        """Take up the pod of an earlier process of this task, or create a new pod."""
        return self._open_run(context).get_or_create(pod_request_obj)

    def create_pod(self, pod: k8s.V1Pod) -> k8s.V1Pod:
        """Create the pod; no pod is created twice, also if the answer is lost."""
        assert self._run is not None
        self.pod = self._run.create(pod)
        return self.pod

    def refresh_credentials(self) -> None:
        """Read the connection's credentials again with the next request."""
        for name in ("hook", "client", "pod_manager"):
            self.__dict__.pop(name, None)

    def invoke_defer_method(self, last_log_time: Any = None, context: Context | None = None) -> None:
        """Log the pod that a stop will keep, then defer; the trigger does not log it when the task is stopped."""
        if context is not None and not is_task_active(context):
            # Its process has not heard of the stop yet. Airflow would refuse to defer, and the pod would run on.
            raise TaskStopped
        is_first = self._run is None or not self._run.is_resumed
        if self.pod is not None and self.on_kill_action == OnKillAction.KEEP_POD and is_first:
            metadata = self.pod.metadata
            kept = describe_kept_pod(metadata.name, metadata.namespace, self.base_container_name)
            self.log.info("If the task is stopped: %s", kept)
        super().invoke_defer_method(last_log_time=last_log_time, context=context)

    def defer(self, *, trigger: BaseTrigger, **arguments: Any) -> NoReturn:
        """Defer with the platform's trigger in place of the stock one."""
        if (run := self._run) is not None and run.pod is not None:
            trigger = choose_trigger(self, run.context, trigger, run.pod, run.progress)
        super().defer(trigger=trigger, **arguments)

    def _open_run(self, context: Context, event: dict[str, Any] | None = None) -> PodRun:
        if self._run is None:
            shorten_tracebacks()
            self._run = PodRun(self, context, event)
        return self._run

    @contextmanager
    def _handle_stop(self, context: Context) -> Iterator[None]:
        """Turn SIGTERM into the end of the task, or into its restart if the worker shuts down."""
        try:
            with self.stop_signal.listen():
                yield
        except TaskStopped:
            self._end_or_restart(context)
        except KeyboardInterrupt:  # Ctrl-C in dag.test
            self.log.info("The task was interrupted%s", self._open_run(context).stop())
            raise

    def _end_or_restart(self, context: Context) -> None:
        if not is_task_active(context):
            raise AirflowException(f"The task was stopped{self._open_run(context).stop()}") from None
        run = self._open_run(context)
        pod = run.pod
        kept = f": pod {pod.state.name} is kept" if pod and pod.state.deletion_requested_at is None else ""
        what = "takes up" if self.reattach_on_restart else "replaces"
        self.log.info("The worker is shutting down%s. The task restarts, and %s its pod if it has one.", kept, what)
        run.keep_report()
        run.stop_logs()
        raise build_reschedule(RESCHEDULE_DELAY_S) from None
