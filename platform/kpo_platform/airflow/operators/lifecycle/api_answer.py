"""Read refusals of the API server."""

from __future__ import annotations

import json
from typing import Any

from kubernetes.client import ApiException


def read_message(error: ApiException) -> str:
    """Return the message of a refusal, or the HTTP reason if it has none."""
    return _read_field(error, "message") or str(error.reason or "")


def is_existing(error: ApiException) -> bool:
    """Tell whether an object was not created because another one has its name."""
    return error.status == 409 and not has_changed_object(error)


def has_changed_object(error: ApiException) -> bool:
    """Tell whether another request changed an object meanwhile, such as the namespace's quota: a retry succeeds."""
    return error.status == 409 and "object has been modified" in read_message(error)


def lacks_rights(error: BaseException) -> bool:
    """Tell whether the caller was not known or not allowed. Admission (quota) answers 403 too, in other words."""
    if not isinstance(error, ApiException):
        return False
    return error.status == 401 or (error.status == 403 and " cannot " in read_message(error))


def is_missing(error: ApiException) -> bool:
    """Tell whether the API server says that there is no such object."""
    return error.status == 404 and _read_field(error, "kind") == "Status"


def is_answered_by_proxy(error: BaseException) -> bool:
    """Tell whether something before the API server answers that it knows no such path: the object may exist."""
    return isinstance(error, ApiException) and error.status == 404 and not is_missing(error)


def has_other_uid(error: ApiException) -> bool:
    """Tell whether a request with a uid was refused because another object has the name now."""
    message = read_message(error)
    return (error.status == 409 and "UID in precondition" in message) or (
        error.status == 422 and "metadata.uid" in message
    )


def _read_field(error: ApiException, name: str) -> str:
    try:
        status: Any = json.loads(error.body or "")
        return str(status[name] or "")
    except (ValueError, KeyError, TypeError):
        return ""
