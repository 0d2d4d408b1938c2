"""A fake Kubernetes API for ``platformctl run``, with the contract and one pod."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from unit.support.contracts import CONTRACT
from unit.support.http_server import Answer, Request, status

Hook = Callable[[Request], Answer | None]
PODS = "/api/v1/namespaces/team-alpha/pods"


@dataclass
class Pods:
    """A fake Kubernetes API that stores one pod.

    Attributes:
        code: the exit code of the pod's program; None if it runs forever.
        log: the program's output.
        hook: takes every request; its answer replaces the default one, unless it is None.
        waiting: what the program's container waits for; None if it starts.
        created: the pods of all create requests.
        pod: the stored pod.
    """

    code: int | None = 0
    log: str = ""
    waiting: dict[str, str] | None = None
    hook: Hook = lambda request: None
    created: list[dict[str, Any]] = field(default_factory=list)
    pod: dict[str, Any] | None = None

    def __call__(self, request: Request) -> Answer:
        answer = self.hook(request)
        return answer or self._answer(request)

    @property
    def name(self) -> str:
        """The name of the only pod that was created."""
        (pod,) = self.created
        return str(pod["metadata"]["name"])

    def _answer(self, request: Request) -> Answer:
        path = urlsplit(request.path).path
        if path.endswith("/configmaps"):
            return 200, {"items": [{"metadata": {"name": "c"}, "data": {"contract.json": json.dumps(CONTRACT)}}]}
        if path.endswith("/events"):
            return 200, {"kind": "EventList", "items": [], "metadata": {}}
        if path == PODS:
            return (
                self._create(request.body)
                if request.method == "POST"
                else (200, {"kind": "PodList", "items": self._list()})
            )
        if self.pod is None or "/secrets/" in path:
            return status(404, "not found")
        if path.endswith("/log"):
            return 200, f"{'2026-01-01T00:00:01.000000000Z ' if 'timestamps=' in request.path else ''}{self.log}"
        return 200, self._remove() if request.method == "DELETE" else self.pod

    def _list(self) -> list[dict[str, Any]]:
        return [self.pod] if self.pod else []

    def _create(self, body: dict[str, Any]) -> Answer:
        self.created.append(body)
        self.pod = {**body, "metadata": {**body["metadata"], "uid": "u-1"}, "status": self._status()}
        return 201, self.pod

    def _status(self) -> dict[str, Any]:
        state: dict[str, Any] = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
        if self.waiting is not None:
            state = {"waiting": self.waiting}
        elif self.code is not None:
            state = {"terminated": {"exitCode": self.code, "message": self.log.strip()}}
        base = {"name": "base", "image": "b", "imageID": "b", "ready": True, "restartCount": 0, "state": state}
        phase = "Running" if self.code is None else "Failed" if self.code else "Succeeded"
        phase = "Pending" if self.waiting else phase
        return {"phase": phase, "containerStatuses": [base]}

    def _remove(self) -> Any:
        pod, self.pod = self.pod, None
        return pod


def interrupt_at(request_part: str) -> Hook:
    """Return a hook that sends SIGINT once, at the first request with this text in "METHOD PATH"."""
    pending = [request_part]

    def hook(request: Request) -> None:
        if pending and pending[0] in f"{request.method} {request.path}":
            pending.pop()
            os.kill(os.getpid(), signal.SIGINT)

    return hook
