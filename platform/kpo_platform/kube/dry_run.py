"""Whether the API server would create an object, by a dry run."""

from __future__ import annotations

from dataclasses import dataclass

from kubernetes import client

from kpo_platform.errors import ClusterError
from kpo_platform.kube.api_errors import is_missing_right, read_message
from kpo_platform.kube.client import Kube
from kpo_platform.kube.resource import Object, Resource

_UNAUTHORIZED, _FORBIDDEN, _TOO_MANY_REQUESTS = 401, 403, 429


@dataclass(frozen=True)
class Refusal:
    """A refusal of the API server to create an object.

    Attributes:
        status: the HTTP status.
        message: the message of the answer.
    """

    status: int
    message: str


def try_create(kube: Kube, resource: Resource, body: Object) -> Object | Refusal:
    """Create an object in a dry run, with the checks of admission, quota and unknown fields.

    Returns:
        The object as it would be created, or why it would not.

    Raises:
        ClusterError: the API server does not answer, or the user may not create the object.
    """
    namespace = body["metadata"]["namespace"]
    query = {"dryRun": "All", "fieldValidation": "Strict"}
    try:
        answer: Object = kube.send("POST", resource.path(namespace), resource.call("create", namespace), query, body)
    except ClusterError as error:
        if refusal := read_refusal(error):
            return refusal
        raise
    return answer


def read_refusal(error: BaseException) -> Refusal | None:
    """Read why the API server refused to create an object; None if it refused the user, or did not answer.

    Args:
        error: an error of `Kube`, or of the client library.
    """
    cause = error.__cause__ if isinstance(error, ClusterError) else error
    if not isinstance(cause, client.ApiException) or not cause.status:
        return None
    message, status = read_message(cause, None), int(cause.status)
    is_about_user = status == _FORBIDDEN and is_missing_right(message)
    return None if is_about_user or status in (_UNAUTHORIZED, _TOO_MANY_REQUESTS) else Refusal(status, message)
