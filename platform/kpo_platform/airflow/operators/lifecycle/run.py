"""The run of a task's pod in one process: find or create the pod, wait for its end, read its result, clean up."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowRescheduleException
from kubernetes.client import models as k8s

from kpo_platform.airflow.operators.lifecycle import quota_wait
from kpo_platform.airflow.operators.lifecycle.adoption import AdoptionKind, is_free
from kpo_platform.airflow.operators.lifecycle.callbacks import EXITS, call_back
from kpo_platform.airflow.operators.lifecycle.connection import read_client
from kpo_platform.airflow.operators.lifecycle.deferral import defer, defer_again, warn_that_worker_waits
from kpo_platform.airflow.operators.lifecycle.disposal import (
    dispose_pod,
    dispose_stopped_pod,
    remove_pod,
    warn_of_left_pod,
)
from kpo_platform.airflow.operators.lifecycle.earlier_pod import (
    Start,
    find_former_end,
    find_own_end,
    find_pod_to_stop,
    find_start,
)
from kpo_platform.airflow.operators.lifecycle.ending import LATE_S, LOG_REST_S, Ending
from kpo_platform.airflow.operators.lifecycle.former_pod import end_former_pods
from kpo_platform.airflow.operators.lifecycle.log_positions import LogProgress, read_log_progress, write_log_progress
from kpo_platform.airflow.operators.lifecycle.observed_pod import ObservedPod
from kpo_platform.airflow.operators.lifecycle.overrides import end_undeferred, has_reentry_code
from kpo_platform.airflow.operators.lifecycle.patience import ApiServerUnavailable, Patience
from kpo_platform.airflow.operators.lifecycle.pod_api import PodApi
from kpo_platform.airflow.operators.lifecycle.pod_diagnosis import explain_rejection, find_quota_cause
from kpo_platform.airflow.operators.lifecycle.pod_logs import PodLogs
from kpo_platform.airflow.operators.lifecycle.pod_request import PodRequest, mark_request, prepare_request
from kpo_platform.airflow.operators.lifecycle.pod_wait import correct_event, wait_for_end
from kpo_platform.airflow.operators.lifecycle.start_record import (
    StartRecord,
    await_start_record,
    find_start_record,
    read_start_record,
    write_start_record,
)
from kpo_platform.airflow.operators.lifecycle.task_end import EndRecord
from kpo_platform.airflow.operators.lifecycle.task_result import check_new_pod
from kpo_platform.airflow.operators.lifecycle.task_state import has_next_try, push_pod_name, try_to_store
from kpo_platform.airflow.operators.lifecycle.trigger_report import find_reported_end, refresh_reported, write_report
from kpo_platform.pod.merge import Json

if TYPE_CHECKING:
    from airflow.sdk import Context


class PodRun:
    """The part of a pod's run that one process of its task does; `pod` is None until it is found or created.

    A process that `is_resumed` handles an event of the task's trigger. `progress` is how far its logs are written.
    """

    def __init__(self, operator: Any, context: Context, event: Mapping[str, Any] | None = None) -> None:
        """Prepare a run; `event` is that of the stock trigger with which Airflow resumes a deferred task."""
        self._operator, self.context = operator, context
        self._event: dict[str, Any] | None = None if event is None else {**event}
        self.is_resumed = event is not None
        patience = operator.patience = Patience(
            operator.api_server_timeout, operator.log, sleep=operator.stop_signal.sleep
        )
        self._api = PodApi(
            lambda: read_client(operator), patience, operator.refresh_credentials, hold=operator.stop_signal.hold
        )
        self._request: PodRequest | None = None
        self._record: StartRecord | None = None
        self._former_end: EndRecord | None = None
        self.progress: LogProgress | None = None
        self._logs: PodLogs | None = None
        self._is_created = False
        self.pod: ObservedPod | None = None

    def execute(self) -> Any:
        """Run the pod to its end and return the task's result, or start it and defer; exceptions as of `Ending`."""
        operator = self._operator
        may_have_pod = self.context["ti"].try_number > 1 or bool(self.context.get("task_reschedule_count"))
        if may_have_pod:
            self._api.connect()
        request = self._request = prepare_request(operator, self.context, may_have_pod=may_have_pod)
        if operator.pod is None:
            with self._clean_up_start():
                operator.pod = operator.get_or_create_pod(pod_request_obj=request.pod, context=self.context)
        pod, ending = self._get_pod(), self._build_ending()
        push_pod_name(self.context, pod.state.name, pod.state.namespace, operator.log)
        if (end := self._former_end) is not None:
            return end_undeferred(operator, self.context, pod.state, end.kind, lambda: self._repeat(end, ending))
        with ending.clean_up_on_error():
            operator.remote_pod = pod.model
            self._call_back("on_pod_creation", pod=pod.model)
            if self._is_created:
                check_new_pod(operator, pod)
            on_start = cache(lambda: self._call_back("on_pod_starting", pod=pod.model))
            if operator.deferrable and pod.outcome is None:
                self._watch_and_defer(ending, on_start)
            logs = ending.logs = ending.logs or self._open_logs(pod)
            wait_for_end(operator, self._api, pod, logs, on_start)
        kind = pod.outcome.kind.value if pod.outcome else ""
        return end_undeferred(operator, self.context, pod.state, kind, lambda: ending.finish(logs))

    def resume(self) -> Any:
        """Go on after the stock trigger has fired; results and exceptions as of `execute`."""
        operator, event = self._operator, self._event
        assert event is not None
        self._record = find_start_record(self.context, event["name"], event["namespace"], is_patient=True)
        pod = self.pod = self._observe(self._record.build_stub())
        operator.pod = pod.model
        ending = self._build_ending()
        with ending.clean_up_on_error():
            progress = read_log_progress(self.context, pod.state.uid, operator.log)
            self.progress = progress.after_trigger(event.get("last_log_time"))
            refresh_reported(pod, event)
            operator.pod = pod.model
            correct_event(event, pod)  # also for `ending`
            end = find_own_end(self.context, pod)
            is_running = end is None and pod.outcome is None
            if is_running and event["status"] != "timeout":
                defer_again(operator, self.context, event, pod, self.progress)
            logs = ending.logs = self._open_logs(pod, is_resumed=True)
            if is_running and event["status"] == "timeout":
                ending.fail_late(logs)
            if end is None:
                wait_for_end(operator, self._api, pod, logs)
        return ending.finish(logs) if end is None else self._repeat(end, ending)

    def get_or_create(self, request: k8s.V1Pod) -> k8s.V1Pod:
        """Take up the pod of an earlier process of this task, or create a new one."""
        base_name = self._request.base_name if self._request else request.metadata.name
        start = find_start(self._operator, self._api, self.context, request, base_name)
        end = self._former_end = find_former_end(self._operator, self.context, start)
        reported = find_reported_end(self._operator, self._api, self.context, start) if end is None else None
        is_new = start.adoption.kind is AdoptionKind.START_NEW and reported is None
        if start.adoption.reason and end is None and reported is None:
            self._operator.log.info(start.adoption.reason)
        if is_new and end is None:
            end_former_pods(self._operator, self._api, start)  # a stop meanwhile ends the stored pod
            if self._request and self._request.error:
                raise self._request.error
        self._record = start.former if (end or reported) and start.former else start.record
        if end is not None:
            self.pod = self._observe(start.pod or self._record.build_stub())
            self.pod.is_gone = start.pod is None
        elif is_new:
            self._start_new(start.record, request)
        elif reported is not None:
            self.pod, self._event = reported
        else:
            self._take_up(start)
        pod, self.progress = self._get_pod(), LogProgress()
        if not is_new or end is not None:
            self.progress = read_log_progress(self.context, pod.state.uid, self._operator.log, start.former)
        return pod.model

    def create(self, request: k8s.V1Pod) -> k8s.V1Pod:
        """Create the pod of this start with the name and the label of its record."""
        created = self._api.create(self._operator.client.api_client.sanitize_for_serialization(request))
        self.pod, self._is_created = self._observe(created, is_new=True), True
        return self.pod.model

    def stop(self) -> str:
        """End the pod of a task that its user stopped, and say what became of it; an error is only logged."""
        self._api.limit(LATE_S)
        try:
            self._record = self._record or read_start_record(self.context)
            if self._record is not None:
                self._record.mark_stopped(self.context)
            if self._logs is not None:
                self._logs.stop()  # it would tell that the pod's log is gone
            if (pod := self._find_pod_to_stop()) is None:
                return " before it had a pod." if self.pod is None else ", and it no longer has a pod."
            return dispose_stopped_pod(self._operator, self._api, pod.state)
        except Exception as error:
            self._warn_left(error)
            return ", and its pod may still run."

    def end_failed(self) -> None:
        """End the pod of a task that failed without a look at it, or leave a success; an error is only logged."""
        self._api.limit(LATE_S)
        try:
            if self._logs is not None:
                self._logs.cut(LOG_REST_S)  # later it would tell that the pod's log is gone
            if self.pod is not None:
                self.pod.refresh()
            self._record = self._record or await_start_record(self.context)
            pod = self._find_pod_to_stop()
            if pod is not None and not pod.is_gone and not self._build_ending().keep_success():
                remove_pod(self._operator, self._api, pod.state)
        except Exception as error:
            self._warn_left(error, is_retried=has_next_try(self.context))

    def stop_logs(self) -> bool:
        """Write no further line, and store what was written; tell whether the next process of the try will know it."""
        if self.progress is None:
            return True  # nothing was written, and what is stored is not known
        positions = self.progress.positions if self._logs is None else self._logs.stop()
        self.progress = replace(self.progress, positions=positions)
        return write_log_progress(self.context, self._get_pod().state.uid, positions, self._operator.log)

    def keep_report(self) -> None:
        """Store what the trigger has reported: the next process of the try may find the pod gone."""
        if self._event is not None:
            store = partial(write_report, self.context, self._event, self._record)
            try_to_store("what the trigger has reported", store, self._operator.log)

    def _start_new(self, record: StartRecord, request: k8s.V1Pod) -> None:
        mark_request(self._operator, self.context, request, record)
        write_start_record(self.context, record)
        with explain_rejection(self._operator, self._api, request):
            find_cause = partial(find_quota_cause, self._operator, self._api, request)
            quota_wait.create_within_quota(self._operator, request, self.context, find_cause)
        self._operator.log.info("Pod %s was created in namespace %s.", record.name, record.namespace)
        created = self._record = record.with_uid(self._get_pod().state.uid)
        try_to_store("the pod's uid", partial(write_start_record, self.context, created), self._operator.log)

    def _take_up(self, start: Start) -> None:
        self.pod = self._observe(start.pod or {})
        try_to_store("the pod's try", partial(write_start_record, self.context, start.record), self._operator.log)
        quota_wait.shorten_schedule_timeout(self._operator, self.context, self.pod.model)

    def _repeat(self, end: EndRecord, ending: Ending) -> Any:
        """Tell a stored end; if an earlier process has not cared for the pod, its log and clean-up come first."""
        pod, progress = self._get_pod(), self.progress
        if pod.is_gone or not is_free(pod.state):
            if pod.is_gone and progress is not None and progress.has_begun:
                (ending.logs or self._open_logs(pod)).finish()  # it only tells what is missing
            return ending.repeat(end)
        with ending.clean_up_on_error():
            logs = ending.logs = ending.logs or self._open_logs(pod)
            logs.update()
        return ending.finish(logs, end)

    @contextmanager
    def _clean_up_start(self) -> Iterator[None]:
        """End a pod whose task fails before it waits for it; a retry takes up a pod that was running before."""
        try:
            yield
        except (ApiServerUnavailable, AirflowRescheduleException):
            raise  # no reason to delete a pod
        except (Exception, *EXITS):
            if self.pod is not None and (self._is_created or not has_next_try(self.context)):
                dispose_pod(self._operator, self._api, self.pod.state)
            raise

    def _open_logs(self, pod: ObservedPod, *, is_resumed: bool = False) -> PodLogs:
        """Open the pod's logs where the former processes of this try, and its trigger, have stopped."""
        self._logs = PodLogs(self._operator, pod, self.progress, is_resumed=is_resumed)
        return self._logs

    def _watch_and_defer(self, ending: Ending, on_start: Callable[[], object]) -> None:
        """Watch a deferrable pod for the first seconds, and defer if it still waits or runs then.

        It returns if the pod has ended, or the task cannot defer. Exceptions as of `wait_for_end` and `defer`.
        """
        operator, pod = self._operator, self._get_pod()
        if operator.defer_after > 0 and not has_reentry_code(operator):
            logs = ending.logs = self._open_logs(pod)
            if wait_for_end(operator, self._api, pod, logs, on_start, operator.defer_after):
                return
            ending.logs = None
            if not self.stop_logs():  # after the deferral, its lines would be written twice
                warn_that_worker_waits(operator, "Airflow did not store the log position")
                return
        defer(operator, self.context, self.progress)

    def _find_pod_to_stop(self) -> ObservedPod | None:
        """Find the task's pod, also if this process has not met it yet: then at most its name is known."""
        if self.pod is None or not self.pod.state.uid:
            found = find_pod_to_stop(self._operator, self._api, self.context, self._record)
            if found is None:
                return None
            self.pod = self._observe(found)
        return self.pod

    def _warn_left(self, error: Exception, *, is_retried: bool = False) -> None:
        warn_of_left_pod(self._operator, self.pod.state if self.pod else self._record, error, is_retried=is_retried)

    def _build_ending(self) -> Ending:
        return Ending(self._operator, self.context, self._api, self._get_pod(), self._event)

    def _observe(self, pod: Json, *, is_new: bool = False) -> ObservedPod:
        return ObservedPod.of_task(self._operator, self._api, pod, is_new=is_new)

    def _get_pod(self) -> ObservedPod:
        assert self.pod is not None
        return self.pod

    def _call_back(self, name: str, **arguments: Any) -> None:
        call_back(self._operator, self.context, name, **arguments)
