"""A task's pod, run from a person's machine: made, watched and removed as in Airflow, which does not know of it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow.providers.cncf.kubernetes.utils.pod_manager import OnKillAction
from airflow.sdk.exceptions import AirflowException, AirflowSkipException
from airflow.sdk.execution_time.context import set_current_context
from kubernetes.client import ApiException
from urllib3.exceptions import HTTPError

from kpo_platform.errors import PlatformError
from kpo_platform.kube.api_errors import translate_error
from kpo_platform.offline.render import execute, sent_in_cluster
from kpo_platform.offline.task_instance import Attempt, begin

if TYPE_CHECKING:
    from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
    from airflow.sdk import Context

Tell = Callable[[dict[str, str]], None]
"""Takes the pod's ``namespace`` and ``name``, just before the cluster is asked for it; nothing, when it refuses."""

_RIGHTS = "rbac/pod-launcher.yaml in the team's namespace"
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)


@dataclass(frozen=True)
class Outcome:
    """How it ended.

    Attributes:
        state: ``success``, ``failed``, ``skipped``, ``stopped`` (by a person) or ``late`` (its time was over).
        why: a sentence, where it is no success.
        result: what the task gives to other tasks.
        remains: whether a pod that was to be removed may still be there.
    """

    state: str
    why: str = ""
    result: Any = None
    remains: bool = False


class _Stop(BaseException):
    """A signal; no Exception, so that no operator takes it for a failure."""


def run(task: Any, attempt: Attempt, until: float, tell: Tell) -> Outcome:
    """Run a task's pod to its end, in this process and with this process's way to the cluster.

    Args:
        task: one that makes a pod, mapped or not.
        attempt: the run that is imagined.
        until: when to give up, in seconds since the epoch; the task's ``execution_timeout`` may come before.
        tell: is told of the pod.

    Raises:
        TaskError: the task needs what was not given.
        PodError: the pod is refused; every reason, one a line.
        ClusterError: the cluster did not do what was asked.
    """
    context = begin(task, attempt)
    with set_current_context(context):
        context["ti"].render_templates(context)
        operator: Any = context["task"]  # of a mapped task, the one that it became
        _prepare(operator, tell)
        return _Run(operator, context).outcome(until)


def _prepare(operator: Any, tell: Tell) -> None:
    """Let the operator wait in this process, for a pod of its own that nobody would come back for."""
    operator.in_cluster = operator.config_file = operator.cluster_context = None  # the person's way leads there
    operator.deferrable = False
    operator.reattach_on_restart = False
    operator.on_kill_action = OnKillAction.DELETE_POD
    create = operator.get_or_create_pod

    def told(pod_request_obj: Any, context: Context) -> Any:
        tell({"namespace": pod_request_obj.metadata.namespace, "name": pod_request_obj.metadata.name})
        try:
            return create(pod_request_obj=pod_request_obj, context=context)
        except ApiException:
            tell({})
            raise

    operator.get_or_create_pod = told


class _Run:
    def __init__(self, operator: KubernetesPodOperator, context: Context) -> None:
        self._operator: Any = operator
        self._context = context
        self._signal = 0
        self._leaving = False

    def outcome(self, until: float) -> Outcome:
        """Run the pod; a signal, or the end of the time, ends it."""
        limit, name = self._limit(until)
        try:
            with sent_in_cluster(self._operator), self._hearing(limit):
                ended = self._executed()
        except _Stop:
            ended = Outcome("stopped")
        return self._stopped(name) if self._signal else ended

    def _limit(self, until: float) -> tuple[float, str]:
        """Seconds that the pod has, and who says so."""
        left, own = max(until - time.time(), 0.001), self._operator.execution_timeout
        if own is not None and own.total_seconds() < left:
            return own.total_seconds(), f"execution_timeout, {own.total_seconds():g} s"
        return left, "--timeout"

    def _executed(self) -> Outcome:
        try:
            return Outcome("success", result=execute(self._operator, self._context))
        except AirflowSkipException as skipped:
            return Outcome("skipped", str(skipped))
        except PlatformError:
            raise
        except (ApiException, HTTPError) as error:
            if self._signal:
                return Outcome("stopped")
            raise translate_error(error, "run the pod", self._server(), _RIGHTS) from error
        except AirflowException as failure:
            return Outcome("failed", str(failure))

    @contextmanager
    def _hearing(self, seconds: float) -> Iterator[None]:
        before = {number: signal.signal(number, self._hear) for number in _SIGNALS}
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            self._leaving = True
            for number, handler in before.items():
                signal.signal(number, handler)

    def _hear(self, number: int, _: object) -> None:
        """End the pod, once; in the midst of its creation a TeamPodOperator sends the signal again a little later."""
        self._signal = self._signal or number
        if self._leaving:
            return
        try:
            self._operator.on_kill()
        except BaseException:
            self._leaving = True
            raise
        if not getattr(self._operator, "_works", False):
            self._leaving = True
            raise _Stop

    def _stopped(self, limit: str) -> Outcome:
        late = self._signal == signal.SIGALRM
        why = f"It did not end in time ({limit})." if late else ""
        return Outcome("late" if late else "stopped", why, remains=self._remains())

    def _remains(self) -> bool:
        """Whether the pod is there and nobody removes it; tries once more to do so."""
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

    def _server(self) -> str:
        try:
            return str(self._operator.client.api_client.configuration.host)
        except Exception:  # the very way to the cluster may be what is wrong
            return os.environ.get("KUBECONFIG", "of the connection")
