"""The versions of the Kubernetes provider that TeamPodOperator supports."""

from __future__ import annotations

import warnings
from functools import cache

from airflow.providers.cncf.kubernetes import __version__ as PROVIDER_VERSION  # noqa: N812 (used as a constant)

OLDEST, NEWEST = (10, 22), (10, 25)
"""The conformance tests run with both (`scripts/test --only unit` and `--only providers`)."""


@cache
def is_supported(version: str = PROVIDER_VERSION) -> bool:
    """Tell whether a version of apache-airflow-providers-cncf-kubernetes is in the tested range."""
    major, minor = (int(part) for part in version.split(".")[:2])
    return OLDEST <= (major, minor) <= NEWEST


@cache
def warn_if_unsupported(version: str = PROVIDER_VERSION) -> None:
    """Warn about an untested provider, once per process."""
    if not is_supported(version):
        warnings.warn(
            f"apache-airflow-providers-cncf-kubernetes {version} is not supported: TeamPodOperator is tested with "
            f"{_format_release(OLDEST)} to {_format_release(NEWEST)}. The stock operator builds and runs the pod, with "
            "the team's defaults and limits. Install a provider in that range, or upgrade kpo-platform.",
            stacklevel=2,
        )


def _format_release(release: tuple[int, int]) -> str:
    return ".".join(str(part) for part in release)
