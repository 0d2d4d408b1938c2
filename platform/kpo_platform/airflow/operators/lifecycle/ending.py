"""The end of a task's pod: result, logs, clean-up, and what the task is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.cncf.kubernetes.utils.pod_manager import PodLaunchTimeoutException
from airflow.sdk.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowRescheduleException,
    AirflowSkipException,
    AirflowTaskTimeout,
)

from kpo_platform.airflow.api_errors import describe_error, describe_failure
from kpo_platform.airflow.operators.lifecycle.callbacks import EXITS, call_back, catch
from kpo_platform.airflow.operators.lifecycle.disposal import describe_keeping, dispose_pod
from kpo_platform.airflow.operators.lifecycle.observed_pod import ObservedPod
from kpo_platform.airflow.operators.lifecycle.patience import ApiServerUnavailable
from kpo_platform.airflow.operators.lifecycle.pod_api import PodApi
from kpo_platform.airflow.operators.lifecycle.pod_diagnosis import diagnose_failure, write_events
from kpo_platform.airflow.operators.lifecycle.pod_logs import PodLogs
from kpo_platform.airflow.operators.lifecycle.pod_wait import is_time_up
from kpo_platform.airflow.operators.lifecycle.restart import restart_disrupted
from kpo_platform.airflow.operators.lifecycle.start_record import note_stop
from kpo_platform.airflow.operators.lifecycle.task_end import (
    EndRecord,
    TaskEnd,
    conclude,
    note_left_pod,
    read_end_record,
    recall,
    store_rejected_success,
    withdraw_success,
)
from kpo_platform.airflow.operators.lifecycle.task_result import SIDECAR, end_sidecar, remove_result
from kpo_platform.airflow.operators.lifecycle.task_state import has_next_try
from kpo_platform.airflow.operators.lifecycle.trigger_report import judge_end
from kpo_platform.diagnosis.cause import LONGEST_SENTENCE
from kpo_platform.diagnosis.diagnose import Diagnosis
from kpo_platform.pod.cluster_text import sanitize
from kpo_platform.pod.outcome import Outcome, OutcomeKind
from kpo_platform.pod.state import PodState

if TYPE_CHECKING:
    from airflow.sdk import Context

LATE_S = 60.0
"""How long a task whose time is up waits for the API server, and for the log of its deferred pod."""

LOG_REST_S = 5.0
"""How long the rest of a log may delay the deletion of a pod that has not ended, or whose task's time is up."""


class Ending:
    """Ends the run of a pod, whose `logs` are None before they are followed."""

    def __init__(
        self, operator: Any, context: Context, api: PodApi, pod: ObservedPod, event: Mapping[str, Any] | None = None
    ) -> None:
        """Prepare the end of a pod; `event` is that of the trigger that has seen it, if the task was deferred."""
        self._operator, self._context, self._api, self._pod, self._event = operator, context, api, pod, event
        self.logs: PodLogs | None = None
        self._is_late = False
        self._diagnosis = Diagnosis()

    @contextmanager
    def clean_up_on_error(self) -> Iterator[None]:
        """Delete or keep the pod if the task fails before the pod ends; a stopped or rescheduled task needs it."""
        try:
            yield
        except (ApiServerUnavailable, AirflowRescheduleException):
            raise  # no reason to delete a pod
        except (Exception, AirflowTaskTimeout, *EXITS) as error:
            self._operator.log.info("The task fails (%s). Its pod is now deleted or kept.", type(error).__name__)
            self._clean_up_failed(error)
            raise

    def finish(self, logs: PodLogs, stored: EndRecord | None = None) -> Any:
        """End the run of a pod whose program has ended, and return the task's result.

        The result is read and stored first, unless an earlier process has `stored` the end: logs and callbacks may
        take long, or be interrupted.

        Raises:
            AirflowException: the program failed.
            AirflowFailException: it succeeded, but its result is lost; a retry would do the work again.
            AirflowSkipException: it asked to skip the task.
            AirflowRescheduleException: the cluster ended the pod; the task starts again in the same try.
        """
        end = recall(stored) if stored is not None else self._conclude()
        failures = [end.failure, catch(lambda: self._finish_logs(end, logs))]
        if end.failure is None and failures[1] is not None:
            withdraw_success(self._context, describe_failure(failures[1]))  # before the pod is deleted
        has_failed = any(failures) or not end.has_succeeded
        if has_failed:
            with self._outlast_timeout(end, "the wait for the pod's events"):
                self._diagnosis = diagnose_failure(self._operator, self._api, self._pod, end.outcome, logs)
        if end.is_result_unstored:
            self._operator.stop_signal.ignore(partial(note_stop, self._context, self._pod.state))
            self._api.limit(LATE_S)
        is_kept = not has_failed and end.record is None
        failures.append(catch(lambda: self._clean_up(end, is_kept=is_kept)))
        return self._tell_all(end, failures, is_final=end.failure is not None)

    def fail_late(self, logs: PodLogs) -> NoReturn:
        """Fail the task with its trigger's timeout, after what the program has logged; the caller cleans up."""
        try:
            logs.update()
            logs.cut(LATE_S)  # the pod runs on meanwhile
            self._call_back("on_pod_completion")
            self._call_back("on_pod_teardown")
        except Exception as error:  # the timeout is the true reason
            self._warn(error)
        event = self._event or {}
        raise (AirflowException if is_time_up(event) else PodLaunchTimeoutException)(
            sanitize(event["message"], LONGEST_SENTENCE)
        )

    def keep_success(self) -> bool:
        """Leave the pod of a task whose time is up if it has succeeded, and another try can take its result."""
        has_succeeded = self._pod.outcome is not None and self._judge().kind is OutcomeKind.SUCCEEDED
        return has_succeeded and self._keep_for_next_try()

    def repeat(self, stored: EndRecord) -> Any:
        """Tell Airflow of a stored end whose pod is gone or cared for; results and exceptions as of `finish`."""
        end = recall(stored)
        self._operator.log.info(
            "Pod %s has ended, and an earlier process of this task has stored its end.", self._pod.state.name
        )
        return self._tell_all(end, [catch(lambda: self._call_back_at_end(end, "on_pod_cleanup"))])

    def _conclude(self) -> TaskEnd:
        outcome = self._judge()
        try:
            return conclude(self._operator, self._context, self._pod, outcome)
        except AirflowTaskTimeout:
            if outcome.kind is OutcomeKind.SUCCEEDED:
                self._keep_for_next_try()
                raise
            self._pass_over_timeout("the read of the result")
            return conclude(self._operator, self._context, self._pod, outcome, reads_result=False)

    def _judge(self) -> Outcome:
        return judge_end(self._operator, self._pod, self._event)

    def _finish_logs(self, end: TaskEnd, logs: PodLogs) -> None:
        with self._outlast_timeout(end, "the wait for the rest of the log", lambda: logs.cut(LOG_REST_S)):
            if self._is_late:
                logs.cut(LATE_S)
            else:
                logs.finish()
        self._call_back_at_end(end, "on_pod_completion", "on_pod_teardown")

    @contextmanager
    def _outlast_timeout(self, end: TaskEnd, what: str, then: Callable[[], object] = lambda: None) -> Iterator[None]:
        """Let ``execution_timeout`` end a step, then do `then`, but not hide how the program has ended before."""
        try:
            yield
        except AirflowTaskTimeout:
            if end.outcome.kind is OutcomeKind.DISRUPTED:
                raise  # the work is not done, and the task's time is up
            self._pass_over_timeout(what)
            then()

    def _pass_over_timeout(self, what: str) -> None:
        self._operator.log.warning("execution_timeout has ended %s; the program had ended before.", what)
        self._api.limit(LATE_S)
        self._is_late = True

    def _clean_up(self, end: TaskEnd, *, is_kept: bool) -> None:
        """Delete or keep the pod; a success that Airflow has not stored stays for the next process."""
        if is_kept:
            self._keep("Airflow did not store its end, and a later process of the task may need its result")
        elif not self._pod.is_gone:
            state = self._pod.state
            with self._outlast_timeout(end, f"the clean-up of pod {state.name}", partial(self._dispose, state)):
                has_ended_sidecar = self._operator.do_xcom_push and end_sidecar(self._operator, self._pod)
                self._dispose(state.without(SIDECAR) if has_ended_sidecar else state)
        with self._outlast_timeout(end, "the author's callbacks") if end.is_result_unstored else nullcontext():
            self._call_back_at_end(end, "on_pod_cleanup")

    def _dispose(self, pod: PodState) -> None:
        if not dispose_pod(self._operator, self._api, pod):
            note_left_pod(self._context)

    def _clean_up_failed(self, error: BaseException) -> None:
        """Clean up after a task that fails while its pod runs."""
        operator, has_fired_late = self._operator, (self._event or {}).get("status") == "timeout"
        operator.has_cleaned_up = isinstance(error, AirflowTaskTimeout)  # no second timeout interrupts it
        is_late = has_fired_late or operator.has_cleaned_up
        if is_late:
            self._api.limit(LATE_S)
        try:
            if self.logs is not None:
                self.logs.cut(LOG_REST_S)
            self._pod.refresh()
            if is_late and self.keep_success():
                return
            if isinstance(error, PodLaunchTimeoutException) and self._keep_started():
                return
            write_events(operator, self._api, self._pod)
        except Exception as problem:
            operator.log.warning("Cannot read pod %s: %s.", self._pod.state.name, describe_error(problem))
            is_unknown = is_late and isinstance(problem, ApiServerUnavailable)
            if is_unknown and self._keep_for_next_try("it may have succeeded, and the next try looks at it"):
                return
        if not self._pod.is_gone:
            is_left = not dispose_pod(operator, self._api, self._pod.state)
            if is_left and not is_late and self._pod.outcome is not None:
                store_rejected_success(self._context, self._pod, self._judge(), describe_failure(error))
        operator.has_cleaned_up = True
        if failure := catch(lambda: self._call_back("on_pod_cleanup")):
            self._warn(failure)

    def _keep_started(self) -> bool:
        if not self._pod.has_left_pending or self._pod.outcome is not None:
            return self.keep_success()
        return self._keep_for_next_try("it has started, and the next try takes it up")

    def _keep_for_next_try(self, why: str = "its program has succeeded, and the next try takes its result") -> bool:
        is_going = self._pod.is_gone or self._pod.state.deletion_requested_at is not None  # no try takes it up
        if is_going or not has_next_try(self._context) or not self._has_later_use():
            return False
        self._operator.has_cleaned_up = True
        self._keep(why)
        return True

    def _has_later_use(self) -> bool:
        """Tell whether the next try looks at the pod; with ``reattach_on_restart=False`` only for a lost result."""
        if self._operator.reattach_on_restart:
            return True
        try:
            end = read_end_record(self._context)
        except Exception as error:
            self._warn(error)
            return True  # a pod that is not needed does less harm than a lost result
        return end is not None and end.is_result_lost and end.uid == self._pod.state.uid

    def _keep(self, why: str) -> None:
        operator, pod = self._operator, self._pod.state
        operator.log.warning("Pod %s is not deleted: %s. %s", pod.name, why, describe_keeping(operator, pod))

    def _tell_all(self, end: TaskEnd, failures: Iterable[Exception | None], *, is_final: bool = False) -> Any:
        """Tell an end and what failed at it; unless `is_final`, it was the author's code: a try may follow."""
        known = [each for each in failures if each is not None]
        failure = known.pop(0) if known and end.has_succeeded else None
        for each in known:
            self._warn(each)
        if failure is None:
            return self._tell(end)
        if not is_final:
            withdraw_success(self._context, describe_failure(failure))
        raise failure

    def _tell(self, end: TaskEnd) -> Any:
        name, outcome = self._pod.state.name, end.outcome
        if end.has_succeeded:
            if end.is_result_lost:
                raise AirflowFailException(
                    outcome.message
                    or "The program succeeded, but Airflow does not have its result: Airflow refused it, or the worker "
                    f"was lost. Pod {name} no longer has it. The task is not tried again, because its work is done. "
                    "Mark it successful, or clear it to do the work again."
                )
            return end.result if self._operator.do_xcom_push else None
        if outcome.kind is OutcomeKind.SKIPPED:
            raise AirflowSkipException(f"Pod {name} returned exit code {outcome.exit_code}. Skipping.")
        if outcome.kind is OutcomeKind.DISRUPTED:
            restart_disrupted(self._operator, self._context, self._pod.state, outcome)
        cause = self._diagnosis.main
        message = f"{cause} Pod: {name}." if cause else f"Pod {name} failed. {outcome.message}"
        if self._operator.log_pod_spec_on_failure:
            message += f"\nremote_pod: {remove_result(self._pod)}"
        raise AirflowException(message)

    def _warn(self, error: Exception) -> None:
        self._operator.log.warning("%s", describe_failure(error))

    def _call_back_at_end(self, end: TaskEnd, *names: str) -> None:
        """Call the author's callbacks; ``execution_timeout`` in them fails a success, but does not hide a failure."""
        has_failed = not end.has_succeeded or end.failure is not None or end.is_result_lost
        with self._outlast_timeout(end, "the author's callbacks") if has_failed else nullcontext():
            for name in names:
                self._call_back(name)

    def _call_back(self, name: str) -> None:
        call_back(self._operator, self._context, name, pod=self._pod.model)
