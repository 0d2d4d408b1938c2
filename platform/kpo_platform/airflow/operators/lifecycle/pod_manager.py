"""How the operator's process creates and looks at pods: the seam at which polling can be replaced."""

from __future__ import annotations

from typing import Any

from airflow.providers.cncf.kubernetes.utils.pod_manager import PodManager
from kubernetes.client import ApiException
from kubernetes.client import models as k8s


class TeamPodManager(PodManager):
    """The stock manager, except that the pod of a refused creation is not written into the log."""

    def run_pod_async(self, pod: k8s.V1Pod, **kwargs: Any) -> k8s.V1Pod:
        """Create the pod and give it as the cluster has it.

        The stock method logs the whole pod when it is refused, with the values of its environment.
        """
        body = self._client.api_client.sanitize_for_serialization(pod)
        return self._client.create_namespaced_pod(body=body, namespace=pod.metadata.namespace, **kwargs)

    def read_current_pod(self, pod: k8s.V1Pod) -> k8s.V1Pod | None:
        """The pod as the cluster has it now, or None when it is gone or another one has its name.

        Raises:
            ApiException: the API server did not answer the question.
        """
        try:
            now = self.read_pod(pod)
        except ApiException as error:
            if error.status == 404:
                return None
            raise
        return now if pod.metadata.uid in (None, now.metadata.uid) else None

    def terminate_pod(self, pod: k8s.V1Pod) -> None:
        """Let the kubelet end a running pod within seconds; it stays, with its log, as ``DeadlineExceeded``."""
        self._client.patch_namespaced_pod(
            pod.metadata.name, pod.metadata.namespace, body={"spec": {"activeDeadlineSeconds": 1}}
        )
