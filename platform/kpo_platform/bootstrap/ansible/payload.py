"""What bootstrap hands to its Ansible modules: the writes of a plan, and how to reach what they go to.

It holds secret values, so it is only ever sent over the channel and never written anywhere.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from kpo_platform.bootstrap.connections import airflow_api
from kpo_platform.bootstrap.model import Plan
from kpo_platform.contract import Service
from kpo_platform.kube import Kube


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)


class ClusterAccess(_Model):
    """How to reach the cluster: a kubeconfig and context, or the pod's service account; and for how many seconds.

    The environment is that of the person who runs bootstrap: sign-in programs of a kubeconfig may need it, and it
    must not be the environment of Ansible, which writes its own to disk.
    """

    kubeconfig: str | None
    context: str | None
    timeout: float = 0
    environment: dict[str, str] = Field(default_factory=dict, repr=False)

    def connect(self) -> Kube:
        """Make ready to speak to the cluster.

        Raises:
            ClusterError: the kubeconfig cannot be used.
        """
        os.environ.update(self.environment)
        return Kube.connect(self.kubeconfig, self.context, self.timeout)


class AirflowAccess(_Model):
    """How to reach Airflow: by a URL, or else through the cluster by its Service; and a token of its own."""

    url: str | None
    namespace: str
    service: Service
    token: str = Field(default="", repr=False)

    def connect(self, kube: Kube) -> airflow_api.AirflowApi:
        """Make ready to speak to Airflow.

        Raises:
            AirflowError: the URL is none.
        """
        if self.url:
            return airflow_api.connect_by_url(self.url, kube.deadline, self.token)
        return airflow_api.connect_by_port_forward(kube, self.namespace, self.service, self.token)


class Write(_Model):
    """One write: what it is to, in words, the content, and the version that the plan was made from."""

    target: str
    body: dict[str, Any] = Field(repr=False)
    resource_version: str


class TaskPayload(_Model):
    """All that one task of the playbook needs."""

    cluster: ClusterAccess
    airflow: AirflowAccess
    writes: tuple[Write, ...]


class WriteResult(_Model):
    """What became of one write."""

    target: str
    changed: bool


OBJECTS = "objects"
CONNECTIONS = "connections"


def build_payloads(plan: Plan, cluster: ClusterAccess, airflow: AirflowAccess) -> Mapping[str, TaskPayload]:
    """The work of each task of the playbook, by the task's word for it."""
    pending = {OBJECTS: plan.object_writes, CONNECTIONS: plan.connection_writes}
    return {
        name: TaskPayload(
            cluster=cluster,
            airflow=airflow,
            writes=tuple(
                Write(target=str(each.target), body=each.body, resource_version=each.resource_version)
                for each in actions
            ),
        )
        for name, actions in pending.items()
    }
