"""A fake Kubernetes API with the pods of a task of team alpha, whose states and logs a test sets."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from kpo_platform.pod.message_result import RESULT_FILE
from unit.support.http_server import Answer, Request
from unit.support.pod_statuses import RUNNING
from unit.support.pod_store import refuse

Json = dict[str, Any]
Hook = Callable[[Request], Answer | None]

_SIDECAR = "airflow-xcom-sidecar"
PODS = "/api/v1/namespaces/team-alpha/pods"


@dataclass
class TaskPods:
    """A fake Kubernetes API that stores pods.

    Attributes:
        status: the status of pods that are created from now on.
        log: the lines of the program, with stamps.
        result: what the XCom sidecar returns as long as its pod runs, or the program's termination message.
        events: the events of every pod.
        pods: the pods by name.
        before: takes every request; what it returns is answered instead, without an effect.
        after: takes every request after its effect, before it is answered.
        changes: the requests that changed something, in words.
        created: how many pods were created.
    """

    status: Json = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    result: Any = None
    events: list[Json] = field(default_factory=list)
    pods: dict[str, Json] = field(default_factory=dict)
    before: Hook = lambda request: None
    after: Hook = lambda request: None
    changes: list[str] = field(default_factory=list)
    created: int = 0

    def __call__(self, request: Request) -> Answer:
        if (refusal := self.before(request)) is not None:
            return refusal
        answer = self._answer(request)
        return self.after(request) or answer

    @property
    def pod(self) -> Json:
        """The only pod."""
        (pod,) = self.pods.values()
        return pod

    def set_status(self, status: Json) -> None:
        """Set the status of all pods."""
        self.status = status
        for pod in self.pods.values():
            pod["status"] = self._complete(pod, status)

    def read_phase(self, name: str) -> str:
        """Return the phase of the pod that has this name, or nothing."""
        return str(self.pods[name]["status"].get("phase")) if name in self.pods else ""

    def _answer(self, request: Request) -> Answer:
        url = urlsplit(request.path)
        if url.path.endswith("/events"):
            return 200, {"kind": "EventList", "items": self.events}
        name, _, part = url.path.removeprefix(PODS).removeprefix("/").partition("/")
        if not name:
            return (
                self._create(request.body)
                if request.method == "POST"
                else (200, {"kind": "PodList", "items": self._list(url.query)})
            )
        if name not in self.pods:
            return refuse(404, "NotFound", f'pods "{name}" not found')
        if part == "log":
            return 200, self._read_log(parse_qs(url.query))
        act = {"GET": self._get, "DELETE": self._delete, "PATCH": self._patch}[request.method]
        return act(self.pods[name], request.body)

    def _create(self, pod: Json) -> Answer:
        name = pod["metadata"]["name"]
        if name in self.pods:
            return refuse(409, "AlreadyExists", f'pods "{name}" already exists')
        self.created += 1
        metadata = {**pod["metadata"], "uid": f"uid-{self.created}", "creationTimestamp": "2026-11-29T09:00:00Z"}
        self.pods[name] = {**pod, "metadata": metadata, "status": self._complete(pod, self.status)}
        self.changes.append("create")
        return 201, self.pods[name]

    def _list(self, query: str) -> list[Json]:
        selectors = parse_qs(query)
        if "fieldSelector" in selectors:
            names = [name for name in self.pods if selectors["fieldSelector"] == [f"metadata.name={name}"]]
            return [self.pods[name] for name in names]
        wanted = [part.split("=") for part in selectors["labelSelector"][0].split(",") if "!=" not in part]
        labels = {name: value for name, _, value in (("=".join(part)).partition("=") for part in wanted)}
        return [each for each in self.pods.values() if labels.items() <= each["metadata"]["labels"].items()]

    def _read_log(self, query: dict[str, list[str]]) -> str:
        since = query.get("sinceTime", [""])[0].removesuffix("Z")
        lines = [line for line in self.log if line >= since]
        return "".join(f"{line}\n" for line in lines[-int(query.get("tailLines", ["0"])[0]) :])

    def _get(self, pod: Json, body: Any) -> Answer:
        return 200, pod

    def _delete(self, pod: Json, body: Any) -> Answer:
        if body["preconditions"]["uid"] != pod["metadata"]["uid"]:
            return refuse(409, "Conflict", "Precondition failed: UID in precondition")
        del self.pods[pod["metadata"]["name"]]
        self.changes.append("delete")
        return 200, pod

    def _patch(self, pod: Json, body: Any) -> Answer:
        if body["metadata"]["uid"] != pod["metadata"]["uid"]:
            return refuse(422, "Invalid", "metadata.uid: Invalid value: field is immutable")
        pod["metadata"]["labels"] |= body["metadata"].get("labels", {})
        pod["spec"] |= body.get("spec", {})
        self.changes.append("end" if "spec" in body else "mark")
        return 200, pod

    def _complete(self, pod: Json, status: Json) -> Json:
        """Add what the kubelet reports of every container, and the XCom sidecar, which runs as long as its pod."""
        common = {"image": "i", "imageID": "i", "ready": True, "restartCount": 0}
        containers = [*(status.get("containerStatuses") or [])]
        if status.get("phase") == "Running" and any(each["name"] == _SIDECAR for each in pod["spec"]["containers"]):
            containers.append({"name": _SIDECAR, "state": RUNNING})
        if pod["spec"]["containers"][0].get("terminationMessagePath") == RESULT_FILE:
            containers = [self._add_message(each) for each in containers]
        lists = {"containerStatuses": containers, "initContainerStatuses": status.get("initContainerStatuses") or []}
        return {**status, **{key: [{**common, **each} for each in value] for key, value in lists.items()}}

    def _add_message(self, container: Json) -> Json:
        ended = container["state"].get("terminated")
        if container["name"] != "base" or ended is None:
            return container
        return {**container, "state": {"terminated": {**ended, "message": json.dumps(self.result)}}}
