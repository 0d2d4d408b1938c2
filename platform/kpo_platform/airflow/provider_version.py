"""Which versions of the stock operator this one is made for."""

from __future__ import annotations

import warnings
from functools import cache

from airflow.providers.cncf.kubernetes import __version__ as PROVIDER_VERSION  # noqa: N812 (a constant by its use)

OLDEST, NEWEST = (10, 22), (10, 25)
"""Both are tested: the conformance tests run with each (`scripts/test --only unit` and `--only providers`)."""


@cache
def is_supported(version: str = PROVIDER_VERSION) -> bool:
    """Whether a version of apache-airflow-providers-cncf-kubernetes lies between the oldest and the newest tested."""
    major, minor = (int(part) for part in version.split(".")[:2])
    return OLDEST <= (major, minor) <= NEWEST


@cache
def warn_if_unsupported(version: str = PROVIDER_VERSION) -> None:
    """Say once in this process that the provider is one that nobody has tried."""
    if not is_supported(version):
        warnings.warn(
            f"apache-airflow-providers-cncf-kubernetes {version} is outside 10.22 to 10.25, with which TeamPodOperator "
            "is tested: the stock operator merges and runs the pod, over what the team gives it and within what it "
            "allows; install a provider in that range, or upgrade kpo-platform.",
            stacklevel=2,
        )
