"""Say why the pod of a deferred task does not start, and when it never will."""

from __future__ import annotations

import logging
import time
from typing import Any

from kpo_platform.airflow.api_errors import describe_error
from kpo_platform.airflow.triggers.pod_cache import PodNews
from kpo_platform.airflow.triggers.pod_informer import PodInformer
from kpo_platform.contract import Team
from kpo_platform.contract import load as load_contract
from kpo_platform.diagnosis.cause import Cause
from kpo_platform.diagnosis.diagnose import diagnose
from kpo_platform.diagnosis.facts import Facts
from kpo_platform.diagnosis.signals import Signal, list_signals
from kpo_platform.diagnosis.start_wait import StartWait
from kpo_platform.errors import PlatformError
from kpo_platform.pod.merge import Json
from kpo_platform.pod.state import PodState

log = logging.getLogger(__name__)

_AGAIN_S = 60.0
"""How often a pod is diagnosed again although nothing has changed: that nothing happens may have a cause, too."""


class StartCheck:
    """Diagnoses a pod that has not started, from its state and its warnings.

    Attributes:
        causes: what was found last.
    """

    def __init__(self, informer: PodInformer, namespace: str, container: str, task_log: Any) -> None:
        self._informer, self._namespace, self._container, self._log = informer, namespace, container, task_log
        self._team_name, self._wait = "", StartWait()
        self._team: Team | None = None
        self._seen: list[Signal] = []
        self._due_at = time.monotonic() + _AGAIN_S
        self._whole: Json | None = None
        self.causes: tuple[Cause, ...] = ()

    async def find_failure(self, news: PodNews, pod: PodState) -> Cause | None:
        """Write new causes into the task's log, and return the one for which the pod can never start."""
        signals = list_signals(pod, news.warnings)
        if signals and self._team is None:  # most pods start without any
            self._team_name, self._team = _find_team(self._namespace)
            self._wait.grace_s = self._team.policy.missing_object_timeout if self._team else self._wait.grace_s
        if signals != self._seen or time.monotonic() >= self._due_at:
            self._seen, self._due_at = signals, time.monotonic() + _AGAIN_S
            self.causes = await self._diagnose(news)
        for cause in self._wait.list_new(self.causes):
            self._log.info("Pod %s does not start yet: %s", news.name, cause)
        return self._wait.find_failure(self.causes, self._read_clock())

    def get_remaining(self) -> float:
        """Return the seconds until the next diagnosis, or until something has been missing for too long."""
        return min(self._wait.get_remaining(self._read_clock()), self._due_at - time.monotonic())

    async def _diagnose(self, news: PodNews) -> tuple[Cause, ...]:
        """Diagnose the pod with its spec, which is read once: what is known of all pods has only their states."""
        status = (news.pod or {}).get("status", {})
        try:
            if self._whole is None:
                self._whole = await self._informer.requests.read(news.name)
            if self._whole is None or not news.is_of(self._whole):
                return ()
            facts = Facts(
                pod={**self._whole, "status": status},
                events=tuple(news.warnings),
                container=self._container,
                team=self._team,
                team_name=self._team_name,
            )
            return diagnose(facts).causes
        except Exception as error:  # the wait continues
            log.warning("Cannot diagnose pod %s: %s", news.name, describe_error(error))
            self._seen = []
            return ()

    def _read_clock(self) -> float:
        return time.monotonic() - self._informer.interrupted_s


def _find_team(namespace: str) -> tuple[str, Team | None]:
    try:
        teams = load_contract().teams
    except PlatformError:
        return "", None
    return next(((name, team) for name, team in teams.items() if team.namespace == namespace), ("", None))
