"""The end of a task's pod: logs, result, clean-up, and what the task is told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.cncf.kubernetes.callbacks import ExecutionMode
from airflow.sdk.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowRescheduleException,
    AirflowSkipException,
    AirflowTaskTimeout,
)

from kpo_platform.airflow.operators.lifecycle import quota_wait
from kpo_platform.airflow.operators.lifecycle.disposal import dispose_pod
from kpo_platform.airflow.operators.lifecycle.end_record import EndRecord, write_end_record
from kpo_platform.airflow.operators.lifecycle.observed_pod import ObservedPod
from kpo_platform.airflow.operators.lifecycle.patience import ApiServerUnavailable
from kpo_platform.airflow.operators.lifecycle.pod_api import PodApi
from kpo_platform.airflow.operators.lifecycle.pod_events import PodEventLog
from kpo_platform.airflow.operators.lifecycle.pod_logs import PodLogs
from kpo_platform.airflow.operators.lifecycle.task_result import SIDECAR, end_sidecar, read_failed_result, read_result
from kpo_platform.airflow.operators.lifecycle.task_state import TryState, build_reschedule
from kpo_platform.pod.outcome import Outcome, OutcomeKind
from kpo_platform.pod.reported_end import decide_reported_end

if TYPE_CHECKING:
    from airflow.sdk import Context

RESCHEDULE_DELAY_S = 10
"""Long enough for Airflow to notice that the task's former process has ended."""

_MAX_DISRUPTIONS = 3


class Ending:
    """Ends the run of a pod."""

    def __init__(
        self, operator: Any, context: Context, api: PodApi, pod: ObservedPod, event: Mapping[str, Any] | None = None
    ) -> None:
        """Prepare the end.

        Args:
            operator: the task's operator.
            context: the task's context.
            api: the requests on pods.
            pod: the pod.
            event: the event of the trigger that has seen the end, if the task was deferred.
        """
        self._operator, self._context, self._api, self._pod, self._event = operator, context, api, pod, event
        self._has_ended_sidecar = False

    @contextmanager
    def clean_up_on_error(self) -> Iterator[None]:
        """Delete or keep the pod if the task fails before the pod ends.

        An API server that does not answer is no reason to delete a pod; a stopped or rescheduled task needs it.
        """
        try:
            yield
        except (ApiServerUnavailable, AirflowRescheduleException):
            raise
        except (Exception, AirflowTaskTimeout) as error:
            self._operator.log.info("The task fails before its pod has ended: %s", type(error).__name__)
            self._clean_up_failed()
            raise

    def finish(self, logs: PodLogs) -> Any:
        """End the run of a pod whose program has ended.

        Returns:
            The task's result.

        Raises:
            AirflowException: the program failed.
            AirflowFailException: it succeeded, but its result is lost; a retry would do the work again.
            AirflowSkipException: it asked to skip the task.
            AirflowRescheduleException: the cluster ended the pod; the task starts again in the same try.
        """
        outcome = self._judge()
        result, failure = None, None
        try:
            logs.finish()
            self._call_back("on_pod_completion")
            self._call_back("on_pod_teardown")
            result = self._read_result(outcome)
        except Exception as error:  # raised below, unless the program's own end is the true reason
            if isinstance(error, ApiServerUnavailable) and outcome.kind is OutcomeKind.SUCCEEDED:
                raise  # the pod has the result
            failure = error
        if outcome.kind not in (OutcomeKind.DISRUPTED, OutcomeKind.SUCCEEDED if failure else None):
            self._store(outcome, result)
        if self._operator.do_xcom_push:
            self._has_ended_sidecar = end_sidecar(self._operator, self._pod)
        if outcome.kind is not OutcomeKind.SUCCEEDED or failure is not None:
            self._describe_failure()
        late_failure = self._try_clean_up()
        failure = failure or late_failure
        if failure is not None and outcome.kind is OutcomeKind.SUCCEEDED:
            raise failure
        if failure is not None:
            self._operator.log.warning("%s: %s", type(failure).__name__, failure)
        return self._tell(outcome, result)

    def fail_late(self, logs: PodLogs) -> NoReturn:
        """Fail the task with its trigger's timeout, after what the program has logged; the caller cleans up.

        Raises:
            AirflowException: always.
        """
        try:
            logs.update()
            logs.finish()
            self._call_back("on_pod_completion")
            self._call_back("on_pod_teardown")
        except Exception as error:  # the timeout is the true reason
            self._operator.log.warning("%s: %s", type(error).__name__, error)
        raise AirflowException((self._event or {})["message"])

    def repeat(self, end: EndRecord) -> Any:
        """Tell Airflow of an end that an earlier process has stored; results and exceptions as of `finish`."""
        outcome = Outcome(OutcomeKind(end.kind), "", end.exit_code, end.message)
        self._operator.log.info(
            "Pod %s has ended, and an earlier process of this task has read its result.", self._pod.state.name
        )
        self._clean_up()
        if end.is_result_lost:
            raise AirflowFailException(
                f"The program succeeded, but the worker was lost with the result, and pod {self._pod.state.name} was "
                "deleted. The task is not tried again, because its work is done."
            )
        return self._tell(outcome, end.result)

    def _judge(self) -> Outcome:
        """Judge the end by the pod; if it is gone, by its events and what the trigger has reported."""
        event = self._event or {}
        outcome, status = self._pod.outcome, event.get("status")
        assert outcome is not None
        if status == "timeout" and outcome.kind is OutcomeKind.DISRUPTED:
            # The trigger had still seen the pod: what ended it later is not why the task has no result.
            return Outcome(OutcomeKind.FAILED, "Timeout", message=str(event["message"]))
        if not self._pod.is_gone or self._pod.state.has_ended or outcome.exit_code is not None:
            return outcome
        return decide_reported_end(outcome, str(status), self._pod.events, self._operator.base_container_name)

    def _read_result(self, outcome: Outcome) -> Any:
        """Read the result; of a program that failed, as the stock operator does, if it is there."""
        operator = self._operator
        if not operator.do_xcom_push or outcome.kind is OutcomeKind.DISRUPTED:
            return None
        if outcome.kind is OutcomeKind.SUCCEEDED:
            return read_result(operator, self._pod)
        result = read_failed_result(operator, self._pod)
        operator._push_xcom_with_fan_out(self._context["ti"], result)
        return result

    def _store(self, outcome: Outcome, result: Any) -> None:
        """Store the end: a process that follows this one may find no pod any more."""
        ti = self._context["ti"]
        record = EndRecord(
            task_instance_id=str(ti.id),
            uid=self._pod.state.uid,
            kind=outcome.kind.value,
            exit_code=outcome.exit_code,
            message=outcome.message,
            result=result if outcome.kind is OutcomeKind.SUCCEEDED else None,
            max_tries=getattr(ti, "max_tries", None),
        )
        write_end_record(self._context, record)

    def _describe_failure(self) -> None:
        if self._operator.log_events_on_failure and not self._pod.is_gone:
            PodEventLog(self._api, self._operator.log).write_after_failure(self._pod.state)

    def _clean_up(self) -> None:
        if not self._pod.is_gone:
            state = self._pod.state
            dispose_pod(self._operator, self._api, state.without(SIDECAR) if self._has_ended_sidecar else state)
        self._call_back("on_pod_cleanup")

    def _try_clean_up(self) -> Exception | None:
        """Clean up, and return an error of the author's callback."""
        try:
            self._clean_up()
        except Exception as error:
            return error
        return None

    def _clean_up_failed(self) -> None:
        try:
            self._pod.refresh()
            self._describe_failure()
        except Exception as error:
            self._operator.log.warning("Cannot read pod %s: %s", self._pod.state.name, error)
        self._operator.has_cleaned_up = True
        if failure := self._try_clean_up():
            self._operator.log.warning("%s: %s", type(failure).__name__, failure)

    def _tell(self, outcome: Outcome, result: Any) -> Any:
        name = self._pod.state.name
        if outcome.kind is OutcomeKind.SUCCEEDED:
            return result if self._operator.do_xcom_push else None
        if outcome.kind is OutcomeKind.SKIPPED:
            raise AirflowSkipException(f"Pod {name} returned exit code {outcome.exit_code}. Skipping.")
        if outcome.kind is OutcomeKind.DISRUPTED:
            self._restart(outcome)
        message = f"Pod {name} failed. {outcome.message}"
        if self._operator.log_pod_spec_on_failure:
            message += f"\nremote_pod: {self._pod.model}"
        raise AirflowException(message)

    def _restart(self, outcome: Outcome) -> NoReturn:
        """Make Airflow start the task again, at most `_MAX_DISRUPTIONS` times per try."""
        state = TryState(self._context, "disruptions")
        count = state.read().get("count", 0)
        if count >= _MAX_DISRUPTIONS or not state.is_available:
            restarts = (
                f"restarted {count} times in this try" if count else "not restarted: Airflow stores no task state"
            )
            raise AirflowException(
                f"{outcome.message} Its task was {restarts}. Check the other workloads of its node, or set resource "
                "requests and a priority class that protect the pod."
            )
        state.write(count=count + 1)
        quota_wait.restart_clock(self._context)
        self._operator.log.warning(
            "%s The task restarts (%d of %d) without using a retry.",
            *(outcome.message, count + 1, _MAX_DISRUPTIONS),
        )
        raise build_reschedule(RESCHEDULE_DELAY_S) from None

    def _call_back(self, name: str) -> None:
        for callback in self._operator.callbacks:
            getattr(callback, name)(
                pod=self._pod.model,
                client=self._operator.client,
                mode=ExecutionMode.SYNC,
                context=self._context,
                operator=self._operator,
            )
