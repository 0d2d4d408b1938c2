"""The pod of a task as the task's process sees it."""

from __future__ import annotations

from collections.abc import Container

from airflow.providers.cncf.kubernetes.pod_generator import PodGenerator
from kubernetes.client import ApiException
from kubernetes.client import models as k8s

from kpo_platform.airflow.operators.lifecycle.pod_api import PodApi
from kpo_platform.pod.merge import Json
from kpo_platform.pod.outcome import Outcome, decide_outcome
from kpo_platform.pod.state import PodState, parse_pod_state


class ObservedPod:
    """A pod, its last state, and how it ended.

    Attributes:
        state: the last state that was seen.
        is_gone: whether the pod no longer exists.
        events: the events of a pod that is gone, as far as its end was not seen.
    """

    def __init__(self, api: PodApi, pod: Json, container: str, skip_codes: Container[int] = ()) -> None:
        """Observe a pod.

        Args:
            api: the requests on pods.
            pod: the pod as the API server answered; at least its name and namespace.
            container: the container that runs the program.
            skip_codes: exit codes with which the program asks to skip the task.
        """
        self._api, self._container, self._skip_codes = api, container, skip_codes
        self._pod = pod
        self.state: PodState = parse_pod_state(pod)
        self.is_gone = False
        self.events: list[Json] = []
        self._model: k8s.V1Pod | None = None
        self._outcome: Outcome | None = None

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
            ApiServerUnavailable: the API server does not answer.
            ApiException: the API server refused the request.
        """
        found = self._api.read(self.state.name, self.state.namespace, self.state.uid or None)
        self.is_gone = found is None
        if found is not None:
            self._pod, self._model, self.state = found, None, parse_pod_state(found)

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
        if not self.state.uid:
            return []  # another pod may have had the name
        try:
            return self._api.read_events(self.state.name, self.state.namespace, self.state.uid)
        except ApiException:  # a missing right hides the cause, not the end
            return []
