"""A fake Kubernetes API that stores pods, with quota, preconditions and faults, as its answers are documented."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from unit.support.http_server import Answer, Fault, Request

PODS = "/api/v1/namespaces/n/pods"


def refuse(code: int, reason: str, message: str, kind: str = "pods") -> Answer:
    """Refuse a request about a kind of objects as the API server does; without a kind, one about no known path."""
    details = {"details": {"kind": kind}} if kind else {}
    return code, {"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message} | details


def lose(request: Request) -> Answer:
    """Answer nothing, after the request has had its effect."""
    return Fault.CLOSE


@dataclass
class PodStore:
    """A fake Kubernetes API that stores pods.

    Attributes:
        pods: the stored pods by name.
        quota: how many pods the namespace may have.
        before: by the number of a request, from 1: what is answered instead, without an effect.
        after: by the number of a request, from 1: what is answered after its effect.
        requests: the requests so far, as method and path behind the namespace's pods.
    """

    pods: dict[str, dict[str, Any]] = field(default_factory=dict)
    quota: int = 100
    before: dict[int, Callable[[Request], Answer]] = field(default_factory=dict)
    after: dict[int, Callable[[Request], Answer]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, request: Request) -> Answer:
        self.requests.append(f"{request.method} {request.path.removeprefix(PODS)}")
        number = len(self.requests)
        if number in self.before:
            return self.before[number](request)
        answer = self._answer(request)
        return self.after[number](request) if number in self.after else answer

    def _answer(self, request: Request) -> Answer:
        path = urlsplit(request.path).path
        if path.endswith("/events"):
            return 200, {"kind": "EventList", "items": self.events}
        name = path.removeprefix(PODS).removeprefix("/")
        if not name:
            return self._create(request.body) if request.method == "POST" else self._list(request)
        pod = self.pods.get(name)
        if pod is None:
            return refuse(404, "NotFound", f'pods "{name}" not found')
        changes = {"GET": self._get, "DELETE": self._delete, "PATCH": self._patch}
        return changes[request.method](pod, request.body)

    def _create(self, pod: dict[str, Any]) -> Answer:
        name = pod["metadata"]["name"]
        # Admission checks the quota before the name is looked up.
        if len(self.pods) >= self.quota:
            return refuse(403, "Forbidden", f'pods "{name}" is forbidden: exceeded quota: q')
        if name in self.pods:
            return refuse(409, "AlreadyExists", f'pods "{name}" already exists')
        self.pods[name] = {**pod, "metadata": {**pod["metadata"], "uid": f"uid-{len(self.requests)}"}}
        return 201, self.pods[name]

    def _list(self, request: Request) -> Answer:
        selector = parse_qs(urlsplit(request.path).query)["labelSelector"][0]
        wanted = dict(part.split("=") for part in selector.split(","))
        found = [
            pod for pod in self.pods.values() if wanted.items() <= dict(pod["metadata"].get("labels") or {}).items()
        ]
        return 200, {"kind": "PodList", "items": found}

    def _get(self, pod: dict[str, Any], body: Any) -> Answer:
        return 200, pod

    def _delete(self, pod: dict[str, Any], body: Any) -> Answer:
        wanted, uid = body["preconditions"]["uid"], pod["metadata"]["uid"]
        if wanted != uid:
            message = f"Precondition failed: UID in precondition: {wanted}, UID in object meta: {uid}"
            return refuse(409, "Conflict", message)
        del self.pods[pod["metadata"]["name"]]
        return 200, pod

    def _patch(self, pod: dict[str, Any], body: Any) -> Answer:
        if body["metadata"]["uid"] != pod["metadata"]["uid"]:
            return refuse(422, "Invalid", 'Pod "p" is invalid: metadata.uid: Invalid value: "u": field is immutable')
        labels = {**(pod["metadata"].get("labels") or {}), **body["metadata"].get("labels", {})}
        pod["metadata"]["labels"] = labels
        pod["spec"] = {**pod.get("spec", {}), **body.get("spec", {})}
        return 200, pod
