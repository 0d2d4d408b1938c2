"""Who runs the pod: our own engine with the providers that it is tested with, the stock operator alone with others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpo_platform.airflow.provider_version import supported

if TYPE_CHECKING or supported():
    from kpo_platform.airflow.operators.lifecycle.pod_run import PodRun as Engine
else:
    # Not even imported: what our engine overrides may not be there, or may mean something else.
    from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator as Engine

__all__ = ["Engine"]
