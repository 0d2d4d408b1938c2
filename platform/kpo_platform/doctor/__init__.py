"""Read-only checks of an installation, for `platformctl doctor`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from kpo_platform.doctor.components import check_components, check_duplicates
from kpo_platform.doctor.jobs import check_jobs
from kpo_platform.doctor.result import RULES, CheckResult
from kpo_platform.doctor.secrets import check_secrets
from kpo_platform.doctor.snapshot import ReleaseSnapshot, read_release

__all__ = ["CHECKS", "RULES", "Check", "CheckResult", "ReleaseSnapshot", "check_release", "read_release"]


@dataclass(frozen=True)
class Check:
    """The check of one rule."""

    rule: str
    """The name of the rule; a key of `RULES`."""

    run: Callable[[ReleaseSnapshot], Iterator[CheckResult]]
    """Checks a release; every result has the code of the rule."""


CHECKS: tuple[Check, ...] = (
    Check("secret", check_secrets),
    Check("job", check_jobs),
    Check("component", check_components),
    Check("duplicate", check_duplicates),
)
"""All checks, in the order of their results: Jobs need Secrets, components need both."""


def check_release(snapshot: ReleaseSnapshot) -> tuple[CheckResult, ...]:
    """Run all checks on a release.

    Args:
        snapshot: the release's objects.
    """
    return tuple(result for check in CHECKS for result in check.run(snapshot))
