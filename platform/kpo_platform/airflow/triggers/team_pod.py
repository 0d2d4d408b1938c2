"""The trigger of TeamPodOperator: it waits for the end of a pod without requests of its own."""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any

from airflow.providers.cncf.kubernetes.hooks.kubernetes import AsyncKubernetesHook
from airflow.providers.cncf.kubernetes.triggers.pod import KubernetesPodTrigger
from airflow.providers.cncf.kubernetes.utils.pod_manager import OnKillAction
from airflow.triggers.base import TaskSuccessEvent, TriggerEvent

from kpo_platform.airflow.api_errors import advise, describe_error
from kpo_platform.airflow.triggers import task_stop
from kpo_platform.airflow.triggers.finish import FinishedTask, FinishPlan, finish
from kpo_platform.airflow.triggers.finish_policy import may_finish
from kpo_platform.airflow.triggers.informers import InformerKey, use_informer
from kpo_platform.airflow.triggers.pod_cache import PodNews
from kpo_platform.airflow.triggers.pod_informer import PodInformer
from kpo_platform.airflow.triggers.pod_start import has_started
from kpo_platform.airflow.triggers.progress import Progress
from kpo_platform.airflow.triggers.start_check import StartCheck
from kpo_platform.airflow.triggers.start_limits import StartLimits
from kpo_platform.pod.cluster_text import sanitize
from kpo_platform.pod.json_fields import read_object
from kpo_platform.pod.merge import Json
from kpo_platform.pod.outcome import OutcomeKind, decide_outcome
from kpo_platform.pod.reported_end import CANNOT_START
from kpo_platform.pod.state import PodState, parse_pod_state

_LONGEST_WAIT_S = 600.0
_STORED_ATTEMPTS, _STORED_PAUSE_S = 10, 60.0
_SUCCESS_S = 60.0
"""How long the deletion after a success is tried."""


class QuietPayload(dict[str, Any]):
    """A payload that Airflow's line about a fired event shows without the pod, which may have a result in it."""

    def __repr__(self) -> str:
        """Show what the stock trigger's event has."""
        return repr({key: value for key, value in self.items() if key != "pod"})


class TeamPodTrigger(KubernetesPodTrigger):
    """Wait for the end of a pod's program by the informer of its namespace.

    Its stored form only grows, so that it can be created from that of every older release.

    Args:
        pod_uid: the uid of the pod, if it is known.
        start: the pod's label `kpo-platform/start`, by which it is known from others of its name.
        finish: what is left to do after a success, as of `FinishPlan.serialize`; None if a worker must do it.
        **stock: arguments of the stock trigger.

    Raises:
        TypeError: an argument is wrong, or of a later release.
    """

    def __init__(
        self, *, pod_uid: str | None = None, start: str | None = None, finish: Json | None = None, **stock: Any
    ) -> None:
        try:
            super().__init__(**stock)
        except Exception as error:  # as an action of a later release; Airflow ends the triggerer for others than these
            raise TypeError(f"Cannot create the trigger: {sanitize(error)}") from error
        self.pod_uid, self.start, self.finish = pod_uid, start, finish
        self._has_finished_task = self._is_stopping = False

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments."""
        _, stock = super().serialize()
        own = {"pod_uid": self.pod_uid, "start": self.start, "finish": self.finish}
        return f"{TeamPodTrigger.__module__}.{TeamPodTrigger.__qualname__}", {**stock, **own}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event: the keys of the stock trigger's, and the last state of the pod as ``pod``.

        That is JSON in a string, because PostgreSQL refuses an event with a null character, which a program may write.
        """
        try:
            async with self._use_informer() as informer:
                payload = await self._wait(informer)
                self._has_finished_task = await self._finish(informer, payload)
        except Exception as error:  # the worker looks at the pod itself
            self.log.exception("Cannot wait for pod %s", self.pod_name)
            payload = self._build_payload("error", sanitize(error) or type(error).__name__)
        await self._note_event(payload)
        self._fired_event = True
        if not self._has_finished_task:
            yield TriggerEvent(payload)  # type: ignore[no-untyped-call]
            return
        yield TaskSuccessEvent()
        await self._await_stored_success()

    async def on_kill(self) -> None:
        """Delete the pod if a user has ended, cleared or removed the task, not if another triggerer has taken it over.

        What passes is tried again as long as Airflow waits for this.
        """
        if self._has_finished_task:
            await self._delete_if_over(task_stop.KILL_S)
            return
        if self._fired_event or self.on_kill_action == OnKillAction.KEEP_POD:
            return
        try:
            async with self._use_informer() as informer:
                await task_stop.repeat(lambda: self._stop(informer), task_stop.KILL_S)
        except Exception as error:
            self._warn_of_running_pod(describe_error(error))

    def _warn_of_running_pod(self, why: str) -> None:
        if self._is_stopping:
            self.log.warning("Cannot delete pod %s: %s. Delete it with kubectl.", self.pod_name, why)
            return
        self.log.warning(
            "Cannot find out whether to delete pod %s: %s. If the task was stopped, delete the pod with kubectl.",
            *(self.pod_name, why),
        )

    async def get_task_state(self) -> str | None:
        """Ask Airflow for the state of the task; `task_stop.GONE` if it does not have the task."""
        return await self._task.read_state()

    async def _stop(self, informer: PodInformer) -> None:
        """Delete the pod if its task was stopped; the task is looked at each time, because it may begin again."""
        state = _read_text(await self.get_task_state())
        pod = await informer.requests.read(self.pod_name)
        if pod is None or not self._build_news().is_of(pod):  # a cleared task may already have a new one of this name
            self.log.info("Pod %s no longer exists.", self.pod_name)
            return
        if not await self._task.is_stopped(state, pod, self.base_container_name):
            self.log.info("Pod %s is kept: the task is %s.", self.pod_name, state)
            return
        if not self._is_stopping:
            self.log.info("Deleting pod %s in namespace %s.", self.pod_name, self.pod_namespace)
        self._is_stopping = True
        await informer.requests.delete(self.pod_name, pod["metadata"]["uid"], self.termination_grace_period)

    async def _note_event(self, payload: Json) -> None:
        """Tell other triggerers that a worker will look at a pod that may run."""
        if payload["status"] not in ("error", "timeout"):
            return
        try:
            await task_stop.repeat(self._task.note_event, task_stop.STATE_S)
        except Exception as error:
            self.log.warning("Cannot store the XCom %s: %s.", task_stop.FIRED, describe_error(error))

    async def _finish(self, informer: PodInformer, payload: Json) -> bool:
        """Do what is left after a success; False if a worker must finish the task.

        Outside of a triggerer, as in ``dag.test``, no task instance is set, and only the task itself can end.
        """
        plan = FinishPlan.parse(self.finish)
        if plan is None or self.task_instance is None or payload["status"] != "success" or "pod" not in payload:
            return False
        if not may_finish(self.pod_namespace):
            self.log.info("A worker finishes the task: policy.finish, or where Airflow keeps its logs, has changed.")
            return False
        pod = parse_pod_state(json.loads(payload["pod"]))
        task = FinishedTask(self.task_instance, self.log, self._read_task_state)
        return await finish(plan, informer.requests, pod, self.base_container_name, task)

    async def _await_stored_success(self) -> None:
        """Wait until Airflow cancels the trigger, which it does once the success is stored: `on_kill` deletes the pod.

        Another triggerer would look at the pod before that. The process that answers questions also stores the events
        of all tasks, so Airflow is asked only if the cancellation is late.
        """
        for _ in range(_STORED_ATTEMPTS):
            await asyncio.sleep(_STORED_PAUSE_S)
            if await self._delete_if_over(_SUCCESS_S):
                return

    async def _delete_if_over(self, longest_s: float) -> bool:
        """Delete the pod of a task that has ended in this trigger; False if the task is not over, or not yet."""
        try:
            async with self._use_informer() as informer:
                return await task_stop.repeat(lambda: self._delete_after_end(informer), longest_s)
        except Exception as error:
            self.log.warning(
                "Cannot delete pod %s after its success: %s. If the task is over, delete the pod with kubectl, or set "
                "cleanup.maxAge.",
                *(self.pod_name, describe_error(error)),
            )
        return True

    async def _delete_after_end(self, informer: PodInformer) -> bool:
        """Delete the pod once the success is stored, or if a user has ended the task before that.

        The pod of a task that was cleared is left to its next process: another triggerer may have fired an event.
        """
        state = _read_text(await self.get_task_state())
        if state == "success":
            await informer.requests.delete(self.pod_name, self.pod_uid, self.termination_grace_period)
        elif state in task_stop.STOPPED and self.on_kill_action != OnKillAction.KEEP_POD:
            await self._stop(informer)
        return state in task_stop.STOPPED

    async def _wait(self, informer: PodInformer) -> Json:
        news = self._build_news()
        limits = StartLimits(informer, self.schedule_timeout, self.startup_timeout)
        progress = Progress(self.log, self.pod_name, self.base_container_name)
        start = StartCheck(informer, self.pod_namespace, self.base_container_name, self.log)
        async with informer.subscribe(news):
            while True:
                pod = None if news.pod is None else parse_pod_state(news.pod)
                if pod is not None:
                    progress.tell(pod)
                progress.tell_interruption(is_interrupted=informer.is_interrupted)
                payload = self._find_end(news, pod) or await self._find_start_failure(start, news, pod)
                if payload := payload or self._find_timeout(limits, start, pod):
                    return payload
                await news.wait(self._get_remaining(limits, start, pod))

    def _find_end(self, news: PodNews, pod: PodState | None) -> Json | None:
        """Build the payload for a pod that has ended, is gone, cannot start, or cannot be read."""
        if news.error is not None:
            why = f"Cannot read pod {self.pod_name}: {describe_error(news.error)}. {advise(news.error)}"
            return self._build_payload("error", why, news)
        if news.is_gone and not (pod is not None and pod.has_finished(self.base_container_name)):
            return self._build_payload("error", f"Pod {self.pod_name} no longer exists.", news)
        if pod is None:
            return None
        if outcome := decide_outcome(pod, container=self.base_container_name, is_gone=news.is_gone):
            status = "success" if outcome.kind is OutcomeKind.SUCCEEDED else "failed"
            return self._build_payload(status, outcome.message or "The program has ended.", news)
        return None

    async def _find_start_failure(self, start: StartCheck, news: PodNews, pod: PodState | None) -> Json | None:
        """Build the payload for a pod that can never start; the worker raises the sentence as it is."""
        if pod is None or has_started(pod, self.base_container_name):
            return None
        cause = await start.find_failure(news, pod)
        return None if cause is None else {**self._build_payload("error", str(cause), news), CANNOT_START: True}

    def _find_timeout(self, limits: StartLimits, start: StartCheck, pod: PodState | None) -> Json | None:
        if time.time() >= self._deadline:
            return self._build_payload("timeout", f"Pod {self.pod_name} ran until the task's execution_timeout.")
        is_pending = pod is not None and not has_started(pod, self.base_container_name)
        if is_pending and limits.get_remaining(pod) <= 0:
            return self._build_payload("timeout", limits.describe(self.pod_name, start.causes))
        return None

    def _get_remaining(self, limits: StartLimits, start: StartCheck, pod: PodState | None) -> float:
        is_pending = pod is not None and not has_started(pod, self.base_container_name)
        start_s = min(limits.get_remaining(pod), start.get_remaining()) if is_pending else math.inf
        return max(0.1, min(_LONGEST_WAIT_S, start_s, self._deadline - time.time()))

    @property
    def _deadline(self) -> float:
        """The end of the task's execution_timeout, as seconds since 1970."""
        return float(self.trigger_kwargs.get("_execution_deadline") or math.inf)

    def _build_payload(self, status: str, message: str, news: PodNews | None = None) -> Json:
        seen = {} if news is None or news.pod is None else {"pod": json.dumps(news.pod)}
        last_log_time = self.last_log_time.isoformat() if isinstance(self.last_log_time, datetime) else None
        known = {"status": status, "name": self.pod_name, "namespace": self.pod_namespace, "message": message}
        own = {**known, "last_log_time": last_log_time or self.last_log_time, **seen}
        # The worker reads what the trigger has seen, whatever arguments an author has given to the event.
        written = {key: value for key, value in read_object(self.trigger_kwargs).items() if key != "pod"}
        return QuietPayload({**written, **own})

    def _build_news(self) -> PodNews:
        return PodNews(self.pod_name, self.pod_uid or "", self.start or "")

    async def _read_task_state(self) -> str | None:
        return _read_text(await task_stop.repeat(self.get_task_state, task_stop.STATE_S))

    @property
    def _task(self) -> task_stop.DeferredTask:
        return task_stop.DeferredTask(self.task_instance, self.trigger_id)

    def _use_informer(self) -> AbstractAsyncContextManager[PodInformer]:
        config = json.dumps([self.config_dict, self.connection_extras], sort_keys=True, default=str)
        digest = hashlib.sha256(config.encode()).hexdigest()
        key = InformerKey(self.kubernetes_conn_id, self.cluster_context, self.in_cluster, digest, self.pod_namespace)
        return use_informer(key, lambda: self._build_hook().get_conn())

    def _build_hook(self) -> AsyncKubernetesHook:
        """Build a hook that reads the connection, unless the task has brought it along (`connection_extras`)."""
        return AsyncKubernetesHook(
            conn_id=self.kubernetes_conn_id,
            in_cluster=self.in_cluster,
            config_dict=self.config_dict,
            cluster_context=self.cluster_context,
            connection_extras=self.connection_extras,
        )


def _read_text(state: Any) -> str | None:
    """Return the value of a state that may be a member of Airflow's enum."""
    return None if state is None else str(getattr(state, "value", state))
