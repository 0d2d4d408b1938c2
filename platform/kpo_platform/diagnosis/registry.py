"""All causes that can be found, each with its code; docs/troubleshooting.md has a section for each."""

from __future__ import annotations

from kpo_platform.diagnosis.causes import image, result
from kpo_platform.diagnosis.causes.admission import admission
from kpo_platform.diagnosis.causes.end import end
from kpo_platform.diagnosis.causes.network import network
from kpo_platform.diagnosis.causes.run import run
from kpo_platform.diagnosis.causes.scheduling import scheduling
from kpo_platform.diagnosis.causes.start import start
from kpo_platform.diagnosis.causes.volumes import volumes
from kpo_platform.finding import Rule

CAUSES: dict[str, Rule] = {
    **admission.RULES,
    **scheduling.RULES,
    **volumes.RULES,
    **image.RULES,
    **start.RULES,
    **network.RULES,
    **run.RULES,
    **end.RULES,
    **result.RULES,
}
"""The causes by name. The requirement of a rule says what is violated."""

RETIRED: frozenset[str] = frozenset()
"""Codes of former versions, which are never used again."""
