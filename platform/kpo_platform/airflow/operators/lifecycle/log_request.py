"""Read a container's log from the API server, and classify what keeps it from being read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from kubernetes.client import ApiClient, ApiException
from urllib3.exceptions import HTTPError, ReadTimeoutError

from kpo_platform.airflow.operators.lifecycle.api_request import open_answer

_CHUNK = 64 * 1024
_LONGEST_RETRY_AFTER_S = 60
_NOT_STARTED = ("is waiting to start", "is not available", "PodInitializing")
_NEVER = ("is not valid for pod", "a container name must be specified")
_GONE = re.compile(r'pods "[^"]*" not found')
"""The API server's words. A kubelet that has just started does not know its pods yet, and answers 404 as well."""

READ_ERRORS = (ApiException, HTTPError, OSError)
"""What a read of a log may raise when API server, kubelet or network fail."""


@dataclass(frozen=True)
class ContainerLog:
    """The log of one container of a pod."""

    pod_name: str
    namespace: str
    container: str

    def open(
        self,
        client: ApiClient,
        pool: Any,
        *,
        follow: bool,
        since: str | None,
        timeout_s: tuple[float, float],
        tail: int = 0,
    ) -> Any:
        """Start a read with stamps and return urllib3's response.

        The Kubernetes client's own method has no ``sinceTime``, only seconds by the worker's clock.

        Args:
            client: the client with host and credentials.
            pool: the connections.
            follow: stay connected while the container runs.
            since: omit lines before this second.
            timeout_s: seconds to connect, and of silence.
            tail: read only so many last lines; 0 for all.

        Raises:
            ApiException: the API server rejected the request.
            HTTPError: there was no answer.
        """
        path = f"/api/v1/namespaces/{self.namespace}/pods/{self.pod_name}/log"
        query = {"container": self.container, "timestamps": "true"}
        query |= {"follow": "true"} if follow else {}
        query |= {"sinceTime": since} if since else {}
        query |= {"tailLines": str(tail)} if tail else {}
        return open_answer(client, "GET", path, query=query, timeout_s=timeout_s, pool=pool)


def read_chunks(response: Any) -> Iterator[bytes]:
    """Yield the body as it arrives."""
    yield from response.stream(_CHUNK, decode_content=True)


@dataclass(frozen=True)
class ReadFailure:
    """Why a read ended early.

    Attributes:
        text: the cause, for people.
        is_silence: nothing was logged for a while; the connection may be dead.
        is_not_started: the container has no log yet.
        is_final: another read cannot succeed.
        is_refusal: the answer will hardly change after the container's end.
        retry_after_s: seconds that the server asks to wait.
    """

    text: str
    is_silence: bool = False
    is_not_started: bool = False
    is_final: bool = False
    is_refusal: bool = False
    retry_after_s: float = 0


def classify(error: Exception) -> ReadFailure:
    """Describe one of `READ_ERRORS`."""
    if not isinstance(error, ApiException):
        return ReadFailure(f"{type(error).__name__}: {error}", is_silence=isinstance(error, ReadTimeoutError))
    if not error.status:
        return ReadFailure(str(error.reason))
    message = _read_message(error)
    return ReadFailure(
        f"HTTP {error.status}: {message}",
        is_not_started=error.status == 400 and any(part in message for part in _NOT_STARTED),
        is_final=any(part in message for part in _NEVER) or bool(error.status == 404 and _GONE.match(message)),
        is_refusal=400 <= error.status < 500 and error.status not in (408, 429),
        retry_after_s=_read_retry_after(error),
    )


def _read_message(error: ApiException) -> str:
    body = error.body.decode("utf-8", "replace") if isinstance(error.body, bytes) else str(error.body or "")
    with suppress(ValueError, AttributeError):
        return str(json.loads(body).get("message") or error.reason)
    return body.strip() or str(error.reason)


def _read_retry_after(error: ApiException) -> float:
    """Read ``Retry-After`` in seconds, at most a minute; a date is compared with the server's own clock."""
    headers = {key.lower(): value for key, value in dict(error.headers or {}).items()}
    value, seconds = headers.get("retry-after", ""), 0.0
    with suppress(ValueError, TypeError):
        if value.strip().isdigit():
            seconds = float(value)
        else:
            wait = parsedate_to_datetime(value) - parsedate_to_datetime(headers.get("date", ""))
            seconds = wait.total_seconds()
    return min(max(seconds, 0.0), _LONGEST_RETRY_AFTER_S)
