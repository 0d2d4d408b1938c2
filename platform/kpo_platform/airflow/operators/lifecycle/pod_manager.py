"""The stock pod manager, which reads a task's result and leaves the XCom sidecar running."""

from __future__ import annotations

from typing import Any

from airflow.providers.cncf.kubernetes.utils.pod_manager import PodManager
from kubernetes.client import models as k8s


class TeamPodManager(PodManager):
    """The stock manager, with `extract_xcom` in two steps.

    The stock method ends the sidecar, and with it the result, before anybody has stored what it read; and a failure to
    end the sidecar hides what it read (provider 10.22).
    """

    def extract_xcom(self, pod: k8s.V1Pod, **_: Any) -> str:
        """Read the result; `extract_xcom_kill` ends the sidecar."""
        return str(self.extract_xcom_json(pod))
