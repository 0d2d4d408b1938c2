"""Send a single request to the API server, and read its answer or its refusal."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any
from urllib.parse import urlencode

import urllib3
from kubernetes.client import ApiClient, ApiException

from kpo_platform.airflow.api_errors import ApiRefusal
from kpo_platform.pod.merge import Json

CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 60.0
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
