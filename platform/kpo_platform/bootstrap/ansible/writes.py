"""The writes themselves, as the Ansible modules do them."""

from __future__ import annotations

from collections.abc import Iterator

from kpo_platform.bootstrap.ansible.payload import Done, Work


def objects(work: Work) -> Iterator[Done]:
    """Apply Kubernetes objects, one after the other.

    Raises:
        ClusterError: one could not be written; those before it are.
    """
    kube = work.cluster.open()
    for write in work.writes:
        version = kube.apply(write.body)["metadata"]["resourceVersion"]
        yield Done(target=write.target, changed=version != write.seen)


def connections(work: Work) -> Iterator[Done]:
    """Write Airflow connections, one after the other.

    Raises:
        ClusterError: Airflow could not be reached through the cluster.
        AirflowError: one could not be written; those before it are.
    """
    airflow = work.airflow.open(work.cluster.open())
    for write in work.writes:
        airflow.put_connection(write.body)
        yield Done(target=write.target, changed=True)
