"""A request to the Kubernetes API in the terms of RBAC: verb, resource and name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

_NAMESPACED = re.compile(
    r"/(?:api/v1|apis/[^/]+/[^/]+)/namespaces/(?P<namespace>[^/]+)/(?P<resource>[^/]+)"
    r"(?:/(?P<name>[^/]+)(?:/(?P<subresource>[^/]+))?)?"
)
_SELECTED_NAME = re.compile(r"(?:^|,)(?:metadata|involvedObject)\.name==?([^,]+)")
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


@dataclass(frozen=True)
class ApiRequest:
    """A request.

    Attributes:
        verb: such as `create`, `get`, `list` or `watch`.
        resource: such as `pods` or `pods/log`; the path of a request outside a namespace.
        namespace: the namespace; empty outside one.
        name: the object's name, or the name in the field selector of a list or watch; empty for a creation.
    """

    verb: str
    resource: str
    namespace: str = ""
    name: str = ""

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}"


def parse_request(method: str, target: str) -> ApiRequest:
    """Return the request of an HTTP method and a path with its query."""
    url = urlsplit(target)
    match = _NAMESPACED.fullmatch(url.path)
    if match is None:
        return ApiRequest(_VERBS.get(method, "get"), url.path)
    query = parse_qs(url.query)
    name, subresource = match["name"] or "", match["subresource"]
    resource = f"{match['resource']}/{subresource}" if subresource else match["resource"]
    if method in _VERBS:
        verb = _VERBS[method]
    elif query.get("watch", ["false"])[-1].lower() in ("true", "1"):
        verb = "watch"
    else:
        verb = "get" if name else "list"
    selected = _SELECTED_NAME.search(query.get("fieldSelector", [""])[-1])
    return ApiRequest(verb, resource, match["namespace"], name or (selected[1] if selected else ""))
