"""Payload of bootstrap's Ansible modules.

It consists of the writes of a plan and of the access to the cluster and to Airflow. It holds secret values. So it is
only sent over the socket (`channel`) and never written to disk.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from kpo_platform.bootstrap.connections import airflow_api
from kpo_platform.bootstrap.model import Action, Plan
from kpo_platform.contract import Service
from kpo_platform.kube import Kube


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)


class ClusterAccess(_Model):
    """Access to the cluster.

    Attributes:
        kubeconfig: the path of the kubeconfig; None for the pod's service account.
        context: the context; by default the current context.
        timeout: the timeout of all requests together, in seconds.
        environment: the environment of the user who runs bootstrap, for the kubeconfig's exec plugin. It must not be
            Ansible's own environment, which ansible-runner writes to disk.
    """

    kubeconfig: str | None
    context: str | None
    timeout: float = 0
    environment: dict[str, str] = Field(default_factory=dict, repr=False)

    def connect(self) -> Kube:
        """Create a client for the cluster.

        The environment is set in this process, for the exec plugin.

        Raises:
            ClusterError: the kubeconfig cannot be used.
        """
        os.environ.update(self.environment)
        return Kube.connect(self.kubeconfig, self.context, self.timeout)


class AirflowAccess(_Model):
    """Access to Airflow.

    Attributes:
        url: the URL; None for a port-forward to the Service.
        namespace: the namespace of the Service.
        service: the Service of Airflow's API.
        token: the token of a login.
    """

    url: str | None
    namespace: str
    service: Service
    token: str = Field(default="", repr=False)

    def connect(self, kube: Kube) -> airflow_api.AirflowApi:
        """Create a client for Airflow.

        Raises:
            AirflowError: the URL is not an HTTP URL.
        """
        if self.url:
            return airflow_api.connect_by_url(self.url, kube.deadline, self.token)
        return airflow_api.connect_by_port_forward(kube, self.namespace, self.service, self.token)


class Write(_Model):
    """One write of a plan.

    Attributes:
        target: kind, namespace and name of the object, for messages.
        body: the object; it may hold secret values.
        resource_version: the resource version that the plan is based on.
    """

    target: str
    body: dict[str, Any] = Field(repr=False)
    resource_version: str


class TaskPayload(_Model):
    """Everything that one task of the playbook needs."""

    cluster: ClusterAccess
    airflow: AirflowAccess
    writes: tuple[Write, ...]


class WriteResult(_Model):
    """Result of one write."""

    target: str
    changed: bool


OBJECTS = "objects"
CONNECTIONS = "connections"


def build_payloads(plan: Plan, cluster: ClusterAccess, airflow: AirflowAccess) -> Mapping[str, TaskPayload]:
    """Build the payloads of the tasks `OBJECTS` and `CONNECTIONS`."""
    pending = {OBJECTS: plan.object_writes, CONNECTIONS: plan.connection_writes}
    return {
        task: TaskPayload(cluster=cluster, airflow=airflow, writes=tuple(_build_write(action) for action in actions))
        for task, actions in pending.items()
    }


def _build_write(action: Action) -> Write:
    return Write(target=str(action.target), body=action.body, resource_version=action.resource_version)
