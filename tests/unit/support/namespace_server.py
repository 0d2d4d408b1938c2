"""The pods of one namespace as an API server lists and watches them, in the event loop of a test."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from kubernetes_asyncio import client

Json = dict[str, Any]
Act = Callable[[web.Request], Awaitable[web.StreamResponse | None]]

PODS, EVENTS = "/api/v1/namespaces/n/pods", "/api/v1/namespaces/n/events"


@dataclass
class NamespaceServer:
    """A fake API server.

    Attributes:
        pods: the pods by name.
        version: the last version.
        oldest: a watch cannot begin before.
        requests: the requests: LIST, WATCH, and method and name of the others.
        events: the events of the namespace.
        logs: the lines of the logs by pod, each with its stamp.
        acts: by the name of a request, what is answered instead, one for each of the next ones; None as usual.
        clients: how many clients were opened.
        expired: so many of the first clients have credentials that are rejected.
    """

    pods: dict[str, Json] = field(default_factory=dict)
    version: int = 1
    oldest: int = 0
    requests: list[str] = field(default_factory=list)
    events: list[Json] = field(default_factory=list)
    logs: dict[str, list[str]] = field(default_factory=dict)
    acts: dict[str, list[Act | None]] = field(default_factory=dict)
    clients: int = 0
    expired: int = 0
    _events: list[tuple[int, bytes]] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _cuts: int = 0

    def put(self, pod: Json, *, is_selected: bool = True) -> None:
        """Create or change a pod; one that is not selected has lost its label."""
        name = pod["metadata"]["name"]
        kind = "MODIFIED" if self._is_selected(name) else "ADDED"
        former = self.pods.get(name, pod)
        labels = {"kubernetes_pod_operator": "True"} if is_selected else {}
        all_labels = {**labels, **pod["metadata"].get("labels", {})}
        self.version += 1
        own = {"labels": all_labels, "resourceVersion": str(self.version)}
        self.pods[name] = {**pod, "metadata": {**pod["metadata"], **own}}
        if is_selected:
            self._add(kind, self.pods[name])
        elif kind == "MODIFIED":
            self._add("DELETED", former)

    def delete(self, name: str) -> None:
        """Let a pod disappear."""
        is_selected = self._is_selected(name)
        pod = self.pods.pop(name)
        self.version += 1
        if is_selected:
            self._add("DELETED", pod)

    def bookmark(self) -> None:
        """Send a bookmark."""
        self.version += 1
        self._add("BOOKMARK", {"metadata": {}})

    def send(self, line: bytes) -> None:
        """Send a line that is no event."""
        self._events.append((self.version, line))
        self._changed.set()

    def restart(self, version: int = 0) -> None:
        """Break all watches and forget the versions before; with a version, that of a backup."""
        self.version = version or self.version + 100
        self.oldest = 0 if version else self.version
        self._events = []
        self.cut()

    def cut(self) -> None:
        """Break all watches."""
        self._cuts += 1
        self._changed.set()

    def _is_selected(self, name: str) -> bool:
        return "kubernetes_pod_operator" in self.pods.get(name, {"metadata": {}})["metadata"].get("labels", {})

    def _add(self, kind: str, pod: Json) -> None:
        versioned = {**pod, "metadata": {**pod["metadata"], "resourceVersion": str(self.version)}}
        self._events.append((self.version, json.dumps({"type": kind, "object": versioned}).encode()))
        self._changed.set()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer a request."""
        name = request.match_info.get("name", "")
        kind = "WATCH" if "watch" in request.query else "LIST" if not name else f"{request.method} {name}"
        if (replaced := await self._replace(kind, request)) is not None:
            return replaced
        if kind == "WATCH":
            return await self._watch(request)
        return self._list(request) if kind == "LIST" else self._answer_pod(request, name)

    async def answer_events(self, request: web.Request) -> web.StreamResponse:
        """Answer a list of events."""
        if (replaced := await self._replace("EVENTS", request)) is not None:
            return replaced
        return web.json_response({"kind": "EventList", "metadata": {}, "items": self.events})

    async def answer_log(self, request: web.Request) -> web.StreamResponse:
        """Answer the read of a log."""
        if (replaced := await self._replace(f"LOG {request.match_info['name']}", request)) is not None:
            return replaced
        lines = self.logs.get(request.match_info["name"], [])
        since = request.query.get("sinceTime", "")[:19]
        lines = [line for line in lines if line[:19] >= since][-int(request.query.get("tailLines", 10**9)) :]
        body = "".join(f"{line}\n" for line in lines).encode()
        return web.Response(body=body[: int(request.query.get("limitBytes", 10**9))])

    async def _replace(self, kind: str, request: web.Request) -> web.StreamResponse | None:
        """Note a request, and give what is answered instead."""
        self.requests.append(kind)
        if int(request.headers["User-Agent"]) <= self.expired:
            return refuse(401, "Unauthorized")
        acts = self.acts.get(kind)
        act = acts.pop(0) if acts else None
        return await act(request) if act else None

    async def hold(self, request: web.Request, until: asyncio.Event) -> web.StreamResponse:
        """Answer a list or the read of a pod with what is so now, but later."""
        name = request.match_info.get("name", "")
        answer = self._answer_pod(request, name) if name else self._list(request)
        with suppress(TimeoutError):  # a test that fails does not release it
            async with asyncio.timeout(5):
                await until.wait()
        return answer

    def _list(self, request: web.Request) -> web.Response:
        first, limit = int(request.query.get("continue", 0)), int(request.query["limit"])
        selected = [pod for name, pod in self.pods.items() if self._is_selected(name)]
        more = {"continue": str(first + limit)} if first + limit < len(selected) else {}
        metadata = {"resourceVersion": str(self.version), **more}
        return web.json_response({"kind": "PodList", "metadata": metadata, "items": selected[first : first + limit]})

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        version, cuts = int(request.query["resourceVersion"]), self._cuts
        if version < self.oldest:
            gone = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old"}}
            return web.Response(body=json.dumps(gone).encode() + b"\n")
        response = web.StreamResponse()
        await response.prepare(request)
        sent = next((index for index, each in enumerate(self._events) if each[0] > version), len(self._events))
        while self._cuts == cuts:
            for _, line in self._events[sent:]:
                await response.write(line + b"\n")
            sent = len(self._events)
            self._changed.clear()
            await self._changed.wait()
        assert request.transport is not None
        request.transport.abort()
        return response

    def _answer_pod(self, request: web.Request, name: str) -> web.Response:
        pod = self.pods.get(name)
        if pod is None:
            return refuse(404, f'pods "{name}" not found')
        if request.method == "DELETE":
            self.delete(name)
        return web.json_response(pod)


def refuse(code: int, message: str = "no", headers: dict[str, str] | None = None) -> web.Response:
    """Refuse a request about pods as the API server does."""
    status = {"kind": "Status", "code": code, "message": message, "details": {"kind": "pods"}}
    return web.json_response(status, status=code, headers=headers)


def refusing(code: int, message: str = "no", headers: dict[str, str] | None = None) -> Act:
    """Build what refuses a request."""

    async def act(_: web.Request) -> web.StreamResponse | None:
        return refuse(code, message, headers)

    return act


@dataclass
class HeldAnswer:
    """An act: the next answer is built when the request comes, and sent when it is released.

    Attributes:
        asked, released: when both has happened.
    """

    server: NamespaceServer
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, request: web.Request) -> web.StreamResponse | None:
        """Hold an answer."""
        self.asked.set()
        return await self.server.hold(request, self.released)


@asynccontextmanager
async def serve(server: NamespaceServer) -> AsyncIterator[Callable[[], Any]]:
    """Serve, and give what opens a client."""
    application = web.Application()
    application.router.add_route("*", PODS, server.answer)
    application.router.add_route("*", PODS + "/{name}", server.answer)
    application.router.add_route("GET", PODS + "/{name}/log", server.answer_log)
    application.router.add_route("GET", EVENTS, server.answer_events)
    runner = web.AppRunner(application, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]

    @asynccontextmanager
    async def open_client() -> AsyncIterator[Any]:
        configuration = client.Configuration()
        configuration.host = f"http://127.0.0.1:{port}"
        async with client.ApiClient(configuration) as api:
            server.clients += 1
            api.user_agent = str(server.clients)
            yield api

    try:
        yield open_client
    finally:
        server.cut()
        await runner.cleanup()
