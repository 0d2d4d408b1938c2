"""kpo-platform: run the containers of several teams from Airflow on Kubernetes.

DAGs import the operator: ``from kpo_platform import TeamPodOperator``. The package loads it on first use, so that
importing the package is fast and works without Airflow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kpo_platform.airflow.operators.team_pod import TeamPodOperator

__all__ = ["TeamPodOperator", "__version__"]


def __getattr__(name: str) -> Any:
    """Load the operator or read the installed version on first use (PEP 562)."""
    if name == "TeamPodOperator":
        from kpo_platform.airflow.operators.team_pod import TeamPodOperator

        return TeamPodOperator
    if name == "__version__":
        from kpo_platform.release import get_package_version

        return get_package_version()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
