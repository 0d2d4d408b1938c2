"""Run a task's pod from the user's machine, without Airflow's services."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow.providers.cncf.kubernetes.utils.pod_manager import OnKillAction
from airflow.sdk.exceptions import AirflowException, AirflowSkipException
from airflow.sdk.execution_time.context import set_current_context
from kubernetes.client import ApiException
from urllib3.exceptions import HTTPError

from kpo_platform.airflow.operators.lifecycle.pod_run import RestartSafePodOperator
from kpo_platform.airflow.operators.lifecycle.quota_wait import QuotaTimeout
from kpo_platform.contract import load as load_contract
from kpo_platform.diagnosis.cause import Cause
from kpo_platform.errors import PlatformError
from kpo_platform.kube import POD, find_role_files
from kpo_platform.kube.api_errors import translate_error
from kpo_platform.offline.pod_diagnosis import explain_pod, explain_refusal
from kpo_platform.offline.render import execute_operator, set_in_cluster_label
from kpo_platform.offline.task_instance import DagRunSettings, create_context

if TYPE_CHECKING:
    from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
    from airflow.sdk import Context

OnPod = Callable[[dict[str, str]], None]
"""Takes the pod's ``namespace`` and ``name`` just before its creation; empty if the API server rejects it."""

_ROLE_PREFIX = "pod-launcher"
"""The name prefix of the role for creating a team's pods."""

_API_SERVER_TIMEOUT_S = 60.0
"""A person waits, who can run the command again."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)


@dataclass(frozen=True)
class Outcome:
    """The outcome of a run.

    Attributes:
        state: ``success``, ``failed``, ``skipped``, ``stopped`` (by the user) or ``late`` (timed out).
        why: the cause, as a sentence; empty after a success.
        result: the task's result.
        pod_may_exist: whether the pod may still exist although it should be deleted.
    """

    state: str
    why: str = ""
    result: Any = None
    pod_may_exist: bool = False


class _Interrupted(BaseException):
    """A signal arrived.

    Derives from BaseException so `except Exception` in an operator does not catch it.
    """


def run_pod(task: Any, run_settings: DagRunSettings, until: float, on_pod: OnPod) -> Outcome:
    """Run a task's pod until it ends, with this process's access to the cluster.

    Args:
        task: a task that creates a pod, mapped or not.
        run_settings: the settings of the DAG run.
        until: the deadline, in seconds since the epoch; the task's ``execution_timeout`` may be earlier.
        on_pod: takes the pod's namespace and name.

    Raises:
        TaskError: the task needs a result or map index that was not given.
        PodError: the pod is refused; one reason a line.
        ClusterError: the API server rejected a call.
    """
    context = create_context(task, run_settings)
    with set_current_context(context):
        context["ti"].render_templates(context)
        operator: Any = context["task"]  # a mapped task has become a plain one
        observed = _Observed()
        _prepare_operator(operator, on_pod, observed)
        return _PodRun(operator, context, observed).run(until)


@dataclass
class _Observed:
    """What was seen of the pod.

    Attributes:
        refused: a pod that the API server has refused, and how.
        cause: why the pod does not run or has failed, found before it is deleted.
    """

    refused: tuple[Any, ApiException] | None = None
    cause: Cause | None = None

    def explain(self, operator: Any) -> None:
        """Find why the operator's pod does not run; a failure of that must not keep the pod."""
        if self.cause is None:
            with suppress(Exception):
                self.cause = explain_pod(operator)


def _prepare_operator(operator: Any, on_pod: OnPod, observed: _Observed) -> None:
    """Make the operator create a new pod, wait for it in this process, and delete it when stopped."""
    operator.in_cluster = operator.config_file = operator.cluster_context = None  # use the connection's cluster
    operator.deferrable = False
    operator.reattach_on_restart = False
    operator.api_server_timeout = _API_SERVER_TIMEOUT_S
    operator.on_kill_action = OnKillAction.DELETE_POD
    create_pod = operator.get_or_create_pod

    def report_and_create_pod(pod_request_obj: Any, context: Context) -> Any:
        on_pod({"namespace": pod_request_obj.metadata.namespace, "name": pod_request_obj.metadata.name})
        try:
            return create_pod(pod_request_obj=pod_request_obj, context=context)
        except ApiException as error:
            on_pod({})
            observed.refused = (pod_request_obj, error)
            raise

    operator.get_or_create_pod = report_and_create_pod
    if isinstance(operator, RestartSafePodOperator):
        return  # its errors say the cause
    delete_pod = operator.process_pod_deletion

    def explain_and_delete_pod(*arguments: Any, **options: Any) -> Any:
        observed.explain(operator)
        return delete_pod(*arguments, **options)

    operator.process_pod_deletion = explain_and_delete_pod


class _PodRun:
    def __init__(self, operator: KubernetesPodOperator, context: Context, observed: _Observed) -> None:
        self._operator: Any = operator
        self._context = context
        self._observed = observed
        self._signal = 0
        self._is_stopping = False

    def run(self, until: float) -> Outcome:
        """Run the pod; a signal or the timeout stops it."""
        seconds, limit = self._choose_timeout(until)
        try:
            with set_in_cluster_label(self._operator), self._handle_signals(seconds):
                outcome = self._execute()
        except _Interrupted:
            outcome = Outcome("stopped")
        return self._stopped_outcome(limit) if self._signal else outcome

    def _choose_timeout(self, until: float) -> tuple[float, str]:
        """Return the seconds that the pod may run, and the setting that limits them."""
        remaining, execution_timeout = max(until - time.time(), 0.001), self._operator.execution_timeout
        if execution_timeout is not None and (seconds := execution_timeout.total_seconds()) < remaining:
            return seconds, f"execution_timeout ({seconds:g} s)"
        return remaining, "--timeout"

    def _execute(self) -> Outcome:
        try:
            return Outcome("success", result=execute_operator(self._operator, self._context))
        except AirflowSkipException as skip:
            return Outcome("skipped", str(skip))
        except QuotaTimeout as failure:
            return Outcome("failed", str(failure))
        except PlatformError:
            raise
        except (ApiException, HTTPError) as error:
            if self._signal:
                return Outcome("stopped")
            pod, refusal = self._observed.refused or (None, None)
            if refusal is error and (cause := explain_refusal(self._operator, pod, refusal)):
                return Outcome("failed", f"{cause} The pod was not created.")
            raise translate_error(error, "run the pod", self._get_server(), _find_role_files()) from error
        except AirflowException as failure:
            return Outcome("failed", str(self._observed.cause or failure))

    @contextmanager
    def _handle_signals(self, seconds: float) -> Iterator[None]:
        handlers = {number: signal.signal(number, self._handle_signal) for number in _SIGNALS}
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            self._is_stopping = True
            for number, handler in handlers.items():
                signal.signal(number, handler)

    def _handle_signal(self, number: int, _: object) -> None:
        """Stop the operator once; while a TeamPodOperator creates the pod, it repeats the signal a little later."""
        self._signal = self._signal or number
        if self._is_stopping:
            return
        if number == signal.SIGALRM:
            self._observed.explain(self._operator)
        try:
            self._operator.on_kill()
        except BaseException:
            self._is_stopping = True
            raise
        operator = self._operator
        if not (isinstance(operator, RestartSafePodOperator) and operator.stop_signal.is_listening):
            self._is_stopping = True
            raise _Interrupted

    def _stopped_outcome(self, limit: str) -> Outcome:
        if self._signal == signal.SIGALRM:
            advice = self._observed.cause or f"Find in the log what the program waits for, or raise {limit}."
            message = f"Timed out. {advice}"
            return Outcome("late", message, pod_may_exist=self._delete_pod())
        return Outcome("stopped", pod_may_exist=self._delete_pod())

    def _delete_pod(self) -> bool:
        """Delete the pod if it is not being deleted yet; return whether it may still exist."""
        pod = self._operator.pod or self._operator.pod_request_obj
        if pod is None:
            return False
        where = {"name": pod.metadata.name, "namespace": pod.metadata.namespace}
        try:
            if self._operator.client.read_namespaced_pod(**where).metadata.deletion_timestamp is None:
                self._operator.client.delete_namespaced_pod(**where)
        except ApiException as error:
            return bool(error.status != 404)
        except HTTPError:
            return True
        return False

    def _get_server(self) -> str:
        try:
            return str(self._operator.client.api_client.configuration.host)
        except Exception:  # creating the client may be what failed
            return os.environ.get("KUBECONFIG", "of the connection")


def _find_role_files() -> str:
    """Return the role that allows a task's pod to run, as part of a sentence."""
    files = find_role_files(POD.call("create"), _ROLE_PREFIX, load_contract().rules)
    return f"{files} in the team's namespace"
