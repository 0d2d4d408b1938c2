"""Read-only checks of an installation, for `platformctl doctor`."""

from __future__ import annotations

from kpo_platform.doctor.components import check_components
from kpo_platform.doctor.jobs import check_jobs
from kpo_platform.doctor.result import RULES, CheckResult
from kpo_platform.doctor.secrets import check_secrets
from kpo_platform.doctor.snapshot import ReleaseSnapshot, read_release

__all__ = ["RULES", "CheckResult", "ReleaseSnapshot", "check_release", "read_release"]


def check_release(snapshot: ReleaseSnapshot) -> tuple[CheckResult, ...]:
    """Check the Secrets, Jobs and components of a release, in this order: Jobs need Secrets, components need both.

    Args:
        snapshot: the release's objects.
    """
    return (*check_secrets(snapshot), *check_jobs(snapshot), *check_components(snapshot))
