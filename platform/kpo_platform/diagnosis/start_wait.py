"""How long a pod that does not start is waited for, by the causes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from kpo_platform.diagnosis.cause import Cause

DEFAULT_GRACE_S = 60.0
"""How long something may be missing that someone may still create."""

_SCHEDULE_SETTING = "schedule_timeout_seconds, by default the team's policy.roomTimeout"


@dataclass
class StartWait:
    """Decides over several diagnoses of a pod when to give up, and which causes are new.

    Attributes:
        grace_s: how long a cause of outlook ``grace`` may last.
    """

    grace_s: float = DEFAULT_GRACE_S
    _told: set[str] = field(default_factory=set)
    _since: dict[str, float] = field(default_factory=dict)

    def list_new(self, causes: Iterable[Cause]) -> list[Cause]:
        """List the causes that were not told before, except those that end the wait."""
        new = [cause for cause in causes if cause.outlook != "final" and _identify(cause) not in self._told]
        self._told |= {_identify(cause) for cause in new}
        return new

    def find_failure(self, causes: Iterable[Cause], now: float) -> Cause | None:
        """Find the cause for which the pod can never start, or has waited for too long; `now` in seconds."""
        lasting = {_identify(cause): cause for cause in causes if cause.outlook == "grace"}
        self._since = {key: self._since.get(key, now) for key in lasting}
        if final := find_final(causes):
            return final
        return next((cause for key, cause in lasting.items() if now - self._since[key] >= self.grace_s), None)

    def get_remaining(self, now: float) -> float:
        """Return the seconds until a cause has lasted for too long; infinite if none may."""
        return min((since + self.grace_s - now for since in self._since.values()), default=math.inf)


def find_final(causes: Iterable[Cause]) -> Cause | None:
    """Find the first cause for which a pod can never start."""
    return next((cause for cause in causes if cause.outlook == "final"), None)


def describe_late(name: str, limit: str, causes: Sequence[Cause], *, is_scheduled: bool) -> str:
    """Describe that a pod has not started in time, and why.

    Args:
        name: the pod's name.
        limit: the seconds that it had.
        causes: why it does not start, the most probable first.
        is_scheduled: whether it has a node, so that the limit is that of the start.
    """
    late = f"Pod {name} found no node within {limit} s ({_SCHEDULE_SETTING})."
    if is_scheduled:
        late = f"Pod {name} did not start within {limit} s (startup_timeout_seconds)."
    return f"{causes[0]} {late}" if causes else f"{late} Kubernetes does not say why."


def _identify(cause: Cause) -> str:
    return f"{cause.finding.code} {cause.finding.object}"
