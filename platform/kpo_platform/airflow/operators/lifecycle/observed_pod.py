"""The pod of a task, and its events, as the task's process sees them."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from typing import Any, TypeVar

from airflow.providers.cncf.kubernetes.pod_generator import PodGenerator
from kubernetes.client import models as k8s

from kpo_platform.airflow.api_errors import advise, describe_error, is_transient
from kpo_platform.airflow.operators.lifecycle.patience import ApiServerUnavailable
from kpo_platform.airflow.operators.lifecycle.pod_api import PodApi
from kpo_platform.pod.cluster_text import sanitize
from kpo_platform.pod.identity import START_LABEL
from kpo_platform.pod.json_fields import read_object, read_text
from kpo_platform.pod.merge import Json
from kpo_platform.pod.outcome import Outcome, decide_outcome
from kpo_platform.pod.state import PodState, parse_pod_state

_Found = TypeVar("_Found")


class PodUnreadable(ApiServerUnavailable):
    """The task is not allowed to read its pod, which is left running."""


class ObservedPod:
    """A pod, its last state, and how it ended; its events, if it is gone and its end was not seen."""

    def __init__(
        self,
        api: PodApi,
        pod: Json,
        container: str,
        skip_codes: Container[int] = (),
        *,
        has_unique_name: bool = False,
        is_new: bool = False,
    ) -> None:
        """Observe a pod: the API server's answer, or at least its name and namespace.

        `container` runs the program, which asks to skip the task by `skip_codes`. With `has_unique_name` no other pod
        has had the name. With `is_new` this is the answer to the creation, whose ``resourceVersion`` a watch can begin
        with: that of an older pod is unknown to an API server that has just started.
        """
        self._has_unique_name = has_unique_name
        self._api, self._container, self._skip_codes = api, container, skip_codes
        self._pod = pod
        self.version_of_creation = read_text(read_object(pod.get("metadata")).get("resourceVersion")) if is_new else ""
        self.state: PodState = parse_pod_state(pod)
        self.is_gone = False
        self.events: list[Json] = []
        self._model: k8s.V1Pod | None = None
        self._outcome: Outcome | None = None

    @classmethod
    def of_task(cls, operator: Any, api: PodApi, pod: Json, *, is_new: bool = False) -> ObservedPod:
        """Observe a pod of this operator's task."""
        codes, is_unique = tuple(operator.skip_on_exit_code or ()), bool(operator.random_name_suffix)
        return cls(api, pod, operator.base_container_name, codes, has_unique_name=is_unique, is_new=is_new)

    @property
    def manifest(self) -> Json:
        """The pod as the API server has sent it last."""
        return self._pod

    @property
    def model(self) -> k8s.V1Pod:
        """The pod as the stock operator and the author's callbacks know it."""
        if self._model is None:
            self._model = PodGenerator.deserialize_model_dict(self._pod)
        return self._model

    @property
    def outcome(self) -> Outcome | None:
        """How the pod ended; None while its program runs or can still start."""
        if self._outcome is None:
            self._outcome = self._decide()
        return self._outcome

    @property
    def has_left_pending(self) -> bool:
        """Whether the program runs or has run, or the pod has ended without it."""
        return self.state.container(self._container).has_started or self.state.phase not in ("Pending", "Unknown", "")

    def refresh(self) -> None:
        """Read the pod again.

        Raises:
            ApiServerUnavailable: the API server did not answer.
            PodUnreadable: it refused to.
        """
        found = self._read(self._api.read)
        self.take(found, is_gone=found is None)

    def refresh_with_version(self) -> str:
        """Read the pod again, and return a ``resourceVersion`` to watch it from; exceptions as of `refresh`."""
        found, version = self._read(self._api.find)
        self.take(found, is_gone=found is None)
        return version

    def take(self, pod: Json | None, *, is_gone: bool = False) -> None:
        """Take over a state that the API server has reported; without one, the last state stays.

        If the uid is not known, a pod with another value of `START_LABEL` is another pod, and this one is gone.
        """
        state = parse_pod_state(pod) if pod is not None else None
        start = "" if self.state.uid else self.state.labels.get(START_LABEL, "")
        if state is not None and start and state.labels.get(START_LABEL) != start:
            pod, state, is_gone = None, None, True
        self.is_gone = is_gone
        if pod is not None and state is not None:
            self._pod, self._model, self.state = pod, None, state

    def has_ended_namesake(self) -> bool:
        """Whether another pod has the name of this one, which is gone, and has ended; exceptions as of `PodApi`."""
        found = self._api.read(self.state.name, self.state.namespace)
        return found is not None and parse_pod_state(found).has_finished(self._container)

    def _read(self, read: Callable[[str, str, str | None], _Found]) -> _Found:
        name, namespace = self.state.name, self.state.namespace
        try:
            return read(name, namespace, self.state.uid or None)
        except ApiServerUnavailable:
            raise
        except Exception as error:
            raise PodUnreadable(
                f"Cannot read pod {name} in namespace {namespace}: {describe_error(error)}. The task deletes no pod "
                "for this",
                f"{advise(error)} A retry of the task takes up the pod, or its result.",
            ) from error

    def _decide(self) -> Outcome | None:
        if self.is_gone and not self.state.container(self._container).is_terminated:
            self.events = self._read_events()
        return decide_outcome(
            self.state,
            container=self._container,
            is_gone=self.is_gone,
            skip_codes=self._skip_codes,
            events=self.events,
        )

    def _read_events(self) -> list[Json]:
        if not (self.state.uid or self._has_unique_name):
            return []  # another pod may have had the name
        try:
            return self._api.read_events(self.state.name, self.state.namespace, self.state.uid or None)
        except ApiServerUnavailable:
            raise
        except Exception:  # a missing right hides the cause, not the end
            return []


class PodEventLog:
    """Writes the events of a pod into the task's log, each once, with the stock operator's words."""

    def __init__(self, api: PodApi, log: Any) -> None:
        self._api, self._log = api, log
        self._seen: set[str] = set()
        self._is_refused = self._has_failed = False

    def write_new(self, events: Iterable[Json]) -> None:
        """Write the events that were not written before."""
        for event in events:
            if (uid := str(read_object(event.get("metadata")).get("uid"))) not in self._seen:
                self._seen.add(uid)
                path = read_object(event.get("involvedObject")).get("fieldPath")
                self._log.info("The Pod has an Event: %s from %s", sanitize(event.get("message")), sanitize(path))

    def write_after_failure(self, pod: PodState, events: Iterable[Json]) -> None:
        """Write the states of the containers, and these events."""
        self._log.info("Pod phase: %s, reason: %s", pod.phase, sanitize(pod.reason) or None)
        for container in pod.containers:
            level = self._log.error if container.exit_code else self._log.info
            level(
                "Container '%s': state='%s', reason='%s', exit_code=%s, message='%s'",
                *(container.name, container.phase.upper(), sanitize(container.reason), container.exit_code),
                sanitize(container.message),
            )
        for event in events:
            level = self._log.warning if event.get("type") == "Warning" else self._log.info
            level("Pod Event: %s - %s", *(sanitize(event.get(key)) for key in ("reason", "message")))

    def read(self, pod: PodState) -> list[Json]:
        """Read the events of a pod; a refusal ends the attempts."""
        if self._is_refused:
            return []
        had_failed, self._has_failed = self._has_failed, False
        try:
            return self._api.read_events(pod.name, pod.namespace, pod.uid or None, is_patient=False)
        except Exception as error:  # the task neither fails nor waits for its pod's events
            self._has_failed, self._is_refused = True, not is_transient(error)
            if not had_failed:
                self._log.warning("Cannot read the events of pod %s: %s.", pod.name, describe_error(error))
            return []
