"""Create, read and terminate pods for the operator's process."""

from __future__ import annotations

from typing import Any

from airflow.providers.cncf.kubernetes.utils.pod_manager import PodManager
from kubernetes.client import ApiException
from kubernetes.client import models as k8s


class TeamPodManager(PodManager):
    """The stock manager, without logging the pod when its creation is rejected."""

    def run_pod_async(self, pod: k8s.V1Pod, **kwargs: Any) -> k8s.V1Pod:
        """Create the pod and return it as the cluster has it.

        The stock method logs a rejected pod in full, with the values of its environment variables.
        """
        body = self._client.api_client.sanitize_for_serialization(pod)
        return self._client.create_namespaced_pod(body=body, namespace=pod.metadata.namespace, **kwargs)

    def read_current_pod(self, pod: k8s.V1Pod) -> k8s.V1Pod | None:
        """Read the pod from the cluster; None if it no longer exists or another pod has its name.

        Raises:
            ApiException: the API server answered with another error than 404.
        """
        try:
            current = self.read_pod(pod)
        except ApiException as error:
            if error.status == 404:
                return None
            raise
        return current if pod.metadata.uid in (None, current.metadata.uid) else None

    def terminate_pod(self, pod: k8s.V1Pod) -> None:
        """Make the kubelet end a running pod within seconds; pod and log stay, as ``DeadlineExceeded``."""
        self._client.patch_namespaced_pod(
            pod.metadata.name, pod.metadata.namespace, body={"spec": {"activeDeadlineSeconds": 1}}
        )
