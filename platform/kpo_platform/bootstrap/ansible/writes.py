"""The writes themselves, as the Ansible modules do them."""

from __future__ import annotations

from collections.abc import Iterator

from kpo_platform.bootstrap.ansible.payload import TaskPayload, WriteResult


def apply_objects(work: TaskPayload) -> Iterator[WriteResult]:
    """Apply Kubernetes objects, one after the other.

    Raises:
        ClusterError: one could not be written; those before it are.
    """
    kube = work.cluster.connect()
    for write in work.writes:
        version = kube.apply(write.body)["metadata"]["resourceVersion"]
        yield WriteResult(target=write.target, changed=version != write.resource_version)


def write_connections(work: TaskPayload) -> Iterator[WriteResult]:
    """Write Airflow connections, one after the other.

    Raises:
        ClusterError: Airflow could not be reached through the cluster.
        AirflowError: one could not be written; those before it are.
    """
    airflow = work.airflow.connect(work.cluster.connect())
    for write in work.writes:
        airflow.put_connection(write.body)
        yield WriteResult(target=write.target, changed=True)
