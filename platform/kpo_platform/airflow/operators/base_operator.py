"""Base class of TeamPodOperator, chosen by the version of the installed provider."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpo_platform.airflow.provider_version import is_supported

if TYPE_CHECKING or is_supported():
    from kpo_platform.airflow.operators.lifecycle.pod_run import RestartSafePodOperator as BasePodOperator
else:
    # Do not import RestartSafePodOperator: methods that it overrides may be missing or changed in this provider.
    from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator as BasePodOperator

__all__ = ["BasePodOperator"]
