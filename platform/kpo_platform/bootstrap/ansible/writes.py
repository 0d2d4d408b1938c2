"""Write objects and connections, inside Ansible's modules."""

from __future__ import annotations

from collections.abc import Iterator

from kpo_platform.bootstrap.ansible.payload import TaskPayload, WriteResult


def apply_objects(payload: TaskPayload) -> Iterator[WriteResult]:
    """Apply Kubernetes objects one after the other.

    Raises:
        ClusterError: an object cannot be written. The objects before it are written.
    """
    kube = payload.cluster.connect()
    for write in payload.writes:
        version = kube.apply(write.body)["metadata"]["resourceVersion"]
        yield WriteResult(target=write.target, changed=version != write.resource_version)


def write_connections(payload: TaskPayload) -> Iterator[WriteResult]:
    """Write Airflow connections one after the other.

    Raises:
        ClusterError: Airflow cannot be reached through the cluster.
        AirflowError: a connection cannot be written. The connections before it are written.
    """
    airflow = payload.airflow.connect(payload.cluster.connect())
    for write in payload.writes:
        airflow.put_connection(write.body)
        yield WriteResult(target=write.target, changed=True)
