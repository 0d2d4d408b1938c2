"""Send a single request to the API server, and read its answer or its refusal."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any
from urllib.parse import urlencode

import urllib3
from airflow.sdk.exceptions import AirflowException
from kubernetes.client import ApiClient, ApiException

from kpo_platform.errors import PlatformError
from kpo_platform.pod.cluster_text import sanitize
from kpo_platform.pod.json_fields import read_object
from kpo_platform.pod.merge import Json

CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 60.0
LONGEST_CAUSE = 200  # characters of an error in a sentence

_MERGE_PATCH = "application/merge-patch+json"


def send_request(
    client: ApiClient,
    method: str,
    path: str,
    *,
    query: Mapping[str, str] | None = None,
    body: Json | None = None,
    read_timeout_s: float = READ_TIMEOUT_S,
    hold: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Json:
    """Send one request with the client's host and credentials, and return the answer. A PATCH is a JSON merge patch.

    The client library's own methods parse a pod in milliseconds. Their urllib3 repeats a failed GET three times at
    once, and sleeps for as long as a ``Retry-After`` says, up to six hours; here the caller decides.

    `hold` delays signals from the connection to the end of the answer, but not while the connection's login program
    runs, which has no timeout.

    Raises:
        ApiException: the API server refused the request.
        HTTPError: urllib3 got no answer, or not the whole.
    """
    timeout_s = CONNECT_TIMEOUT_S, read_timeout_s
    answer = open_answer(client, method, path, query=query, body=body, timeout_s=timeout_s, reads_body=True, hold=hold)
    return _parse_object(answer.data)


def open_answer(
    client: ApiClient,
    method: str,
    path: str,
    *,
    query: Mapping[str, str] | None = None,
    body: Json | None = None,
    timeout_s: tuple[float, float],
    reads_body: bool = False,
    pool: Any = None,
    hold: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Any:
    """Send one request, and return urllib3's answer; other parameters and exceptions as of `send_request`.

    `timeout_s` are the seconds to connect, and for which the server may send nothing. Unless `reads_body`, the caller
    reads and closes the answer. `pool` replaces the client's pool manager of urllib3.
    """
    headers = {**client.default_headers, "Accept": "application/json, */*"}
    if body is not None:
        headers["Content-Type"] = _MERGE_PATCH if method == "PATCH" else "application/json"
    parameters = list((query or {}).items())
    client.update_params_for_auth(headers, parameters, ["BearerToken"])
    with hold():
        answer = (pool or client.rest_client.pool_manager).request(
            method,
            f"{client.configuration.host}{path}" + (f"?{urlencode(parameters)}" if parameters else ""),
            body=None if body is None else json.dumps(body),
            headers=headers,
            timeout=urllib3.Timeout(connect=timeout_s[0], read=timeout_s[1]),
            retries=False,
            preload_content=reads_body,
        )
    if not 200 <= answer.status <= 299:
        raise _build_refusal(answer)
    return answer


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


def _build_refusal(answer: Any) -> ApiException:
    refusal = ApiRefusal(status=answer.status, reason=answer.reason)
    refusal.body, refusal.headers = answer.data.decode(errors="replace"), answer.headers
    return refusal


def _parse_object(data: bytes) -> Json:
    try:
        parsed = json.loads(data)
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        # What answers is not the API server, or the answer is not whole. It is not quoted: it may have a pod's values.
        raise urllib3.exceptions.ProtocolError("the answer is not a JSON object")
    return parsed


def _read_field(error: ApiException, name: str) -> str:
    return str(_read_status(error).get(name) or "")


def _read_status(error: ApiException) -> Json:
    try:
        return read_object(json.loads(error.body or ""))
    except (ValueError, TypeError):
        return {}
