"""Reads of a part of an object: whether it exists, and the end of a log."""

from __future__ import annotations

from kpo_platform.errors import NotFound
from kpo_platform.kube.client import Kube
from kpo_platform.kube.resource import POD, POD_LOG, Resource

_METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"


def has_object(kube: Kube, resource: Resource, name: str, namespace: str = "") -> bool:
    """Tell whether an object exists, by its metadata alone: the data of a Secret is not sent.

    Raises:
        ClusterError: the object could not be read.
    """
    call = resource.call("get", namespace, name)
    try:
        kube.send("GET", resource.path(namespace, name), call, accept=_METADATA_ONLY)
    except NotFound:
        return False
    return True


def read_log(kube: Kube, name: str, namespace: str, container: str, lines: int) -> str:
    """Read the last lines of a container's log, at most 32 KiB.

    Raises:
        ClusterError: the log could not be read.
    """
    query = {"container": container, "tailLines": str(lines), "limitBytes": "32768"}
    path, call = POD.path(namespace, name, "log"), POD_LOG.call("get", namespace, name)
    return str(kube.send("GET", path, call, query, accept="*/*", is_text=True))
