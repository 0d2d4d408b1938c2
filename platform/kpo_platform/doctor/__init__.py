"""What `platformctl doctor` looks at: an installation as it is, judged without changing anything."""

from __future__ import annotations

from kpo_platform.doctor.components import components
from kpo_platform.doctor.jobs import jobs
from kpo_platform.doctor.result import RULES, Judgement
from kpo_platform.doctor.secrets import secrets
from kpo_platform.doctor.snapshot import Sight, look

__all__ = ["RULES", "Judgement", "Sight", "examine", "look"]


def examine(sight: Sight) -> tuple[Judgement, ...]:
    """Judge an installation: its secrets, its Jobs, then its components, in the order in which they need each other.

    Args:
        sight: what there is.
    """
    return (*secrets(sight), *jobs(sight), *components(sight))
