"""Errors of requests to the API server: what they mean, whether a repetition helps, and their words."""

from __future__ import annotations

import http.client
import json
import math
import ssl
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import urllib3
from airflow.sdk.exceptions import AirflowException
from kubernetes.client import ApiException

from kpo_platform.errors import PlatformError
from kpo_platform.pod.cluster_text import sanitize
from kpo_platform.pod.json_fields import read_object
from kpo_platform.pod.merge import Json

LONGEST_CAUSE = 200  # characters of an error in a sentence
LONGEST_RETRY_AFTER_S = 60.0
_CONNECTION_ERRORS = (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError)


class ConnectionUnreadable(PlatformError, AirflowException):  # noqa: N818
    """Airflow does not give out the connection to the cluster."""


class StateUnreadable(PlatformError, AirflowException):  # noqa: N818
    """Airflow does not give out a stored value that the task needs to find its pod."""

    is_refused = False  # and will be, if it is asked again


class ApiRefusal(ApiException):  # type: ignore[misc]
    """A refusal whose text, which Airflow logs, has neither headers nor the raw body."""

    sentence = ""  # the text, if it ends the task

    def __str__(self) -> str:
        return self.sentence or describe_refusal(self)


def describe_refusal(error: ApiException) -> str:
    """Describe a refusal in a few words."""
    message = sanitize(read_message(error), LONGEST_CAUSE).rstrip(". ")
    return f"HTTP {error.status}, {message}" if message else f"HTTP {error.status}"


def read_message(error: ApiException) -> str:
    """Return the message of a refusal, or the HTTP reason if it has none."""
    return _read_field(error, "message") or str(error.reason or "")


def is_existing(error: ApiException) -> bool:
    """Tell whether an object was not created because another one has its name."""
    return error.status == 409 and not has_changed_object(error)


def has_changed_object(error: ApiException) -> bool:
    """Tell whether another request changed an object meanwhile, such as the namespace's quota: a retry succeeds."""
    return error.status == 409 and "object has been modified" in read_message(error)


def is_missing(error: ApiException) -> bool:
    """Tell whether the API server says that there is no such object."""
    return error.status == 404 and not is_of_proxy(error)


def is_doubtful(error: Exception) -> bool:
    """Tell whether a refusal may come from a server that has not read accounts and roles, or from a proxy before it.

    Airflow may fail to give out the connection or a stored value, too.
    """
    if isinstance(error, StateUnreadable):
        return not error.is_refused
    if not isinstance(error, ApiException):
        return isinstance(error, ConnectionUnreadable)
    return error.status == 401 or is_forbidden(error) or is_of_proxy(error)


def is_forbidden(error: ApiException) -> bool:
    """Tell whether the account lacks a right. Admission (quota) answers 403 too, in other words."""
    return error.status == 403 and " cannot " in read_message(error)


def is_of_proxy(error: Exception) -> bool:
    """Tell whether something else than the API server has answered, or it does not serve the path yet.

    Its refusals have a ``Status``, and one that misses an object names the object's kind.
    """
    if not isinstance(error, ApiException) or not error.status:
        return False
    is_about_path = error.status == 404 and not read_object(_read_status(error).get("details")).get("kind")
    return _read_field(error, "kind") != "Status" or is_about_path


def has_other_uid(error: ApiException) -> bool:
    """Tell whether a request with a uid was refused because another object has the name now."""
    message = read_message(error)
    return (error.status == 409 and "UID in precondition" in message) or (
        error.status == 422 and "metadata.uid" in message
    )


def is_transient(error: BaseException) -> bool:
    """Tell whether the same request may succeed later: no connection, no whole answer, or a busy API server."""
    if isinstance(error, ApiException):
        if not error.status:  # the client library's form of a TLS error
            return not is_certificate_error(error)
        return error.status >= 500 or error.status in (408, 429) or has_changed_object(error)
    # A wrong URL or certificate stays wrong.
    if isinstance(error, urllib3.exceptions.LocationValueError | FileNotFoundError | PermissionError):
        return False
    return isinstance(error, _CONNECTION_ERRORS) and not is_certificate_error(error)


def read_retry_after(error: BaseException) -> float | None:
    """Return the wait that the API server asks for, in seconds, at most a minute.

    None if it asks for none, or not in a valid way.
    """
    headers = {str(key).lower(): str(value) for key, value in dict(getattr(error, "headers", None) or {}).items()}
    value = headers.get("retry-after", "").strip()
    try:
        seconds = float(value) if value.isascii() and value.isdigit() else _seconds_between(headers.get("date"), value)
    except (ValueError, TypeError, OverflowError):
        return None
    return min(seconds, LONGEST_RETRY_AFTER_S) if math.isfinite(seconds) and seconds >= 0 else None


def describe_failure(error: BaseException) -> str:
    """Describe an error, perhaps one of the author's code, by its sentence, or its type and text."""
    name, is_sentence = type(error).__name__, isinstance(error, AirflowException | ApiRefusal | PlatformError)
    text = sanitize(error) if is_sentence or not isinstance(error, ApiException) else describe_error(error)
    return text if text and is_sentence else f"{name}: {text}".removesuffix(": ")


def describe_error(error: BaseException) -> str:
    """Describe a failed request in a few words, without what was sent."""
    if isinstance(error, ApiException) and error.status:
        return describe_refusal(error)
    cause = _find_cause(error)
    if isinstance(cause, ApiException) and cause.status:
        return describe_refusal(cause)
    if isinstance(cause, TimeoutError | urllib3.exceptions.TimeoutError):
        return "no answer in time"
    reason = getattr(cause, "strerror", None) or getattr(cause, "reason", None) or str(cause)
    return sanitize(reason, LONGEST_CAUSE).rstrip(". ") or type(cause).__name__


def advise(refusal: Exception) -> str:
    """Advise what to do about a request that stays refused."""
    if isinstance(refusal, ConnectionUnreadable):
        return refusal.fix
    if getattr(refusal, "status", None) == 401:
        return "Check the credentials of the task's connection."
    if isinstance(refusal, ApiException) and is_forbidden(refusal):
        return "Give the task's connection this right."
    return "Correct what the message names, or ask the platform team."


def _read_field(error: ApiException, name: str) -> str:
    return str(_read_status(error).get(name) or "")


def _read_status(error: ApiException) -> Json:
    try:
        return read_object(json.loads(error.body or ""))
    except (ValueError, TypeError):
        return {}


def _seconds_between(start: str | None, end: str) -> float:
    """Seconds between two HTTP dates. The start is the answer's own, because the worker's clock may be wrong."""
    began_at = parsedate_to_datetime(start) if start else datetime.now(UTC)
    return (parsedate_to_datetime(end) - began_at).total_seconds()


def _find_cause(error: BaseException) -> BaseException:
    """Return the innermost error that the libraries have wrapped."""
    for _ in range(10):
        inner = getattr(error, "reason", None)
        if not isinstance(inner, BaseException):
            inner = error.__cause__ or next((each for each in error.args if isinstance(each, BaseException)), None)
        if not isinstance(inner, Exception):  # an exit says nothing without the code that has raised it
            break
        error = inner
    return error


def is_certificate_error(error: BaseException) -> bool:
    """Tell whether the server has shown a certificate of another one, as a proxy may that has just started."""
    if isinstance(error, ApiException):
        return not error.status and "CERTIFICATE_VERIFY_FAILED" in str(error.reason)
    return isinstance(_find_cause(error), ssl.SSLCertVerificationError)
