"""Requests of the triggerer about the pods of a namespace, over one client as long as it is needed."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from kpo_platform.airflow.api_errors import ApiRefusal, has_other_uid, is_missing
from kpo_platform.pod.json_fields import read_object, read_objects, read_text
from kpo_platform.pod.merge import Json

SELECTOR = "kubernetes_pod_operator=True,already_checked!=True"
"""The pods of tasks that have not ended (labels of the stock operator)."""

_PAGE = 250  # parsed at once, in 25 ms
_TIMEOUT_S = (10.0, 60.0)
_SILENCE_S = 90.0
"""Longer than the minute between the bookmarks of the API server; then the connection may be lost."""

_WATCH_S = (240, 300)
"""How long the API server shall keep a watch; not the same time for all."""

_YOUNG_S = 2.0
"""A client of this age has credentials that were just read: the API server rejects what the connection has."""

OpenClient = Callable[[], AbstractAsyncContextManager[Any]]
"""Opens a client of ``kubernetes_asyncio`` from the Airflow connection, which is read each time."""


@dataclass(frozen=True)
class Page:
    """A part of a list, and the ``resourceVersion`` of the whole list."""

    items: list[Json]
    version: str


@dataclass(frozen=True)
class _Request:
    method: str
    path: str
    query: Mapping[str, str]
    timeout_s: tuple[float, float] = _TIMEOUT_S
    body: Json | None = None


class _Session:
    """A client, which is closed when it is outdated and its last request has ended."""

    def __init__(self, client: Any, stack: AsyncExitStack) -> None:
        self._client, self._stack = client, stack
        self._requests, self._is_outdated = 0, False
        self._opened_at = time.monotonic()

    @property
    def is_young(self) -> bool:
        """Whether its credentials were read just now."""
        return time.monotonic() - self._opened_at < _YOUNG_S

    @asynccontextmanager
    async def send(self, request: _Request) -> AsyncIterator[Any]:
        """Send a request, and give its answer, which is closed at the end."""
        self._requests += 1
        try:
            answer = await _call(self._client, request)
            try:
                if not 200 <= answer.status <= 299:
                    raise await _build_refusal(answer)
                yield answer
            finally:
                answer.close()
        except (aiohttp.ClientError, json.JSONDecodeError, UnicodeDecodeError) as error:
            raise ConnectionError(str(error) or type(error).__name__) from error
        finally:
            self._requests -= 1
            await self._close_if_unused()

    async def outdate(self) -> None:
        """Let the client serve only the requests that have begun."""
        self._is_outdated = True
        await self._close_if_unused()

    async def _close_if_unused(self) -> None:
        if self._is_outdated and not self._requests:
            await self._stack.aclose()


class PodRequests:
    """Requests to one API server about one namespace.

    Every method raises `kubernetes.client.ApiException` for a refusal, and an `OSError`, or what the connection's own
    code raises, if there is no answer or not the whole. If the API server rejects the credentials, the connection is
    read again, once for all requests that this happens to, and each of them is sent once more.
    """

    def __init__(self, open_client: OpenClient, namespace: str) -> None:
        root = f"/api/v1/namespaces/{namespace}"
        self._open_client, self._path, self._events_path = open_client, f"{root}/pods", f"{root}/events"
        self._session: _Session | None = None
        self._lock = asyncio.Lock()

    async def list_warnings(self) -> AsyncIterator[Json]:
        """Yield the warnings about all pods."""
        query = {"fieldSelector": "involvedObject.kind=Pod,type=Warning", "limit": str(_PAGE)}
        async for page in self._list_pages(self._events_path, query):
            for event in page.items:
                yield event

    async def list_pages(self) -> AsyncIterator[Page]:
        """Yield the pods of running tasks in pages."""
        async for page in self._list_pages(self._path, {"labelSelector": SELECTOR, "limit": str(_PAGE)}):
            yield page

    async def _list_pages(self, path: str, query: dict[str, str]) -> AsyncIterator[Page]:
        while True:
            page = await self._request("GET", path, query)
            metadata = read_object(page.get("metadata"))
            yield Page(read_objects(page.get("items")), read_text(metadata.get("resourceVersion")))
            query["continue"] = read_text(metadata.get("continue"))
            if not query["continue"]:
                return

    @asynccontextmanager
    async def watch(self, version: str) -> AsyncIterator[AsyncIterator[Json]]:
        """Open a watch of the same pods, and give its events until the API server ends it."""
        seconds = random.randint(*_WATCH_S)
        query = {"labelSelector": SELECTOR, "watch": "true", "allowWatchBookmarks": "true"}
        query |= {"resourceVersion": version, "timeoutSeconds": str(seconds)}
        async with self._open(_Request("GET", self._path, query, (_TIMEOUT_S[0], _SILENCE_S))) as answer:
            yield _parse_events(answer)

    async def read(self, name: str) -> Json | None:
        """Read a pod; None if there is none of this name."""
        try:
            return await self._request("GET", f"{self._path}/{name}")
        except ApiRefusal as refusal:
            if is_missing(refusal):
                return None
            raise

    async def read_log(self, name: str, container: str, **query: str) -> bytes:
        """Read what a container has written so far, with stamps; `query` has further parameters of the request."""
        parameters = {"container": container, "timestamps": "true", **query}
        async with self._open(_Request("GET", f"{self._path}/{name}/log", parameters)) as answer:
            return bytes(await answer.read())

    async def delete(self, name: str, uid: str | None, grace_s: int | None) -> bool:
        """Delete a pod; tell whether it was there. Another pod of the name stays if the uid is known."""
        grace = {} if grace_s is None else {"gracePeriodSeconds": grace_s}
        preconditions = {"preconditions": {"uid": uid}} if uid else {}
        try:
            await self._request("DELETE", f"{self._path}/{name}", body={**grace, **preconditions})
        except ApiRefusal as refusal:
            if not (is_missing(refusal) or has_other_uid(refusal)):
                raise
            return False
        return True

    async def renew(self) -> None:
        """Close the client when the requests that have begun with it have ended; the next one opens another."""
        async with self._lock:
            session, self._session = self._session, None
        if session is not None:
            await session.outdate()

    async def _request(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: Json | None = None
    ) -> Json:
        async with self._open(_Request(method, path, query or {}, body=body)) as answer:
            parsed = json.loads(await answer.read())
        if not isinstance(parsed, dict):
            raise ConnectionError("the answer is not a JSON object")
        return parsed

    @asynccontextmanager
    async def _open(self, request: _Request) -> AsyncIterator[Any]:
        """Send a request, and give its answer, which is closed at the end."""
        async with AsyncExitStack() as stack:
            session = await self._get_session()
            try:
                answer = await stack.enter_async_context(session.send(request))
            except ApiRefusal as refusal:
                if refusal.status != 401 or session.is_young:
                    raise
                if session is self._session:  # else another request was refused, too, and has done so
                    await self.renew()
                answer = await stack.enter_async_context((await self._get_session()).send(request))
            yield answer

    async def _get_session(self) -> _Session:
        async with self._lock:
            if self._session is None:
                stack = AsyncExitStack()
                self._session = _Session(await stack.enter_async_context(self._open_client()), stack)
            return self._session


async def _call(client: Any, request: _Request) -> Any:
    try:
        return await client.call_api(
            *(request.path, request.method, {}, list(request.query.items())),
            body=request.body,
            auth_settings=["BearerToken"],
            _preload_content=False,
            _request_timeout=request.timeout_s,
        )
    except RuntimeError as error:  # aiohttp's, if the client was closed
        raise ConnectionError(str(error)) from error


async def _parse_events(answer: Any) -> AsyncIterator[Json]:
    rest = b""
    async for chunk in answer.content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            event = json.loads(line)
            if not isinstance(event, dict):
                raise ConnectionError("the answer is not an event")
            yield event


async def _build_refusal(answer: Any) -> ApiRefusal:
    refusal = ApiRefusal(status=answer.status, reason=answer.reason)
    refusal.body, refusal.headers = (await answer.read()).decode(errors="replace"), answer.headers
    return refusal
