"""Lists of many objects, read in pages."""

from __future__ import annotations

from kpo_platform.errors import ClusterError
from kpo_platform.kube.client import Kube
from kpo_platform.kube.resource import Object, Resource

_PAGE = 500
_EXPIRED = 410


def list_in_pages(kube: Kube, resource: Resource, namespace: str, labels: str = "", fields: str = "") -> list[Object]:
    """List the objects of a namespace, as `Kube.list_objects` does, 500 at a time.

    Raises:
        ClusterError: the objects could not be read.
    """
    return list_most(kube, resource, namespace, None, labels, fields)[0]


def list_most(
    kube: Kube, resource: Resource, namespace: str, most: int | None, labels: str = "", fields: str = ""
) -> tuple[list[Object], bool]:
    """List at most about this number of objects, and return whether these are all; see `list_in_pages`."""
    selectors = {"labelSelector": labels, "fieldSelector": fields}
    query = {name: value for name, value in selectors.items() if value} | {"limit": str(_PAGE)}
    path, call = resource.path(namespace), resource.call("list", namespace)
    items: list[Object] = []
    while True:
        try:
            answer = kube.send("GET", path, call, query)
        except ClusterError as error:
            if items and getattr(error.__cause__, "status", None) == _EXPIRED:  # this took too long for its snapshot
                return kube.list_objects(resource, namespace, labels, fields), True
            raise
        items += answer.get("items") or []
        token = (answer.get("metadata") or {}).get("continue")
        if not token or (most is not None and len(items) >= most):
            return items, not token
        query["continue"] = token
