"""The two commands in the XCom sidecar of a fake cluster."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.providers.cncf.kubernetes.utils.pod_manager import PodManager

from kpo_platform.airflow.operators.lifecycle.pod_manager import TeamPodManager
from unit.support.cluster_server import Cluster


def replace_exec(cluster: Cluster, take: Callable[[Callable[[], Any]], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the commands of both engines act on the cluster.

    Args:
        cluster: the cluster.
        take: counts an action as a step of the task's process.
        monkeypatch: pytest's.
    """

    def read(manager: Any, pod: Any) -> str:
        return str(take(lambda: cluster.exec(pod.metadata.name)))

    def end(manager: Any, pod: Any) -> None:
        take(lambda: cluster.end_sidecar(pod.metadata.name))

    for manager in (PodManager, TeamPodManager):
        monkeypatch.setattr(manager, "extract_xcom_json", read)
        monkeypatch.setattr(manager, "extract_xcom_kill", end)
