"""A cluster on a loopback port: an API server over `fake_kubelet`, with quota, events, outages and faults."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from kubernetes.client import ApiException

from unit.support.fake_kubelet import XCOM_SIDECAR, FakePod, Json, Program
from unit.support.http_server import Answer, Fault, Request
from unit.support.pod_store import refuse
from unit.support.watch_events import WatchEvents

NAMESPACE = "/api/v1/namespaces/team-alpha/"
BOOKMARK_S = 60


@dataclass
class Rule:
    """What happens at some requests.

    Attributes:
        part: the text in method and path.
        act: returns the answer that replaces the usual one, or None.
        times: how often.
        is_after: whether the request has its effect.
    """

    part: str
    act: Callable[[Request], Answer | None]
    times: int = 1
    is_after: bool = False


@dataclass
class Cluster:
    """A cluster whose time passes in `sleep`.

    Attributes:
        programs: what the containers of new pods do, by name.
        prepare: changes a new pod before it runs.
        quota: how many pods the namespace may have.
        down: from when to when the API server does not answer.
        ledger: what the programs did.
        requests: the requests, without reads of logs; that of a watch as WATCH and the pod.
        log_queries: the reads of logs.
        watches: the events of pods; None if the API server gives its pods no version, so that they are not watched.
    """

    programs: dict[str, Program] = field(default_factory=dict)
    prepare: Callable[[FakePod], object] = lambda pod: None
    quota: int = 100
    down: tuple[float, float] = (0, 0)
    result: str = '{"rows": 3}'
    now: float = 0
    pods: dict[str, FakePod] = field(default_factory=dict)
    events: list[Json] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)
    ledger: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    log_queries: list[str] = field(default_factory=list)
    created: int = 0
    followers: list[Any] = field(default_factory=list)
    watchers: list[Any] = field(default_factory=list)
    watches: WatchEvents | None = None
    next_bookmark: float = BOOKMARK_S
    on_tick: Callable[[], object] = lambda: None

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(self.now + 1, end)
            for pod in list(self.pods.values()):
                pod.tick(self.now)
            self.pods = {name: pod for name, pod in self.pods.items() if not pod.is_gone}
            self._record()
            self._send_bookmark()
            self.on_tick()

    def add(self, part: str, answer: Answer | None, times: int = 1, *, is_after: bool = False) -> None:
        """Answer the next requests with this text in "METHOD path" in another way."""
        self.rules.append(Rule(part, lambda request: answer, times, is_after))

    def act(self, part: str, act: Callable[[], object]) -> None:
        """Do something before the next request with this text in "METHOD path"."""
        self.rules.append(Rule(part, lambda request: act() and None))

    def __call__(self, request: Request) -> Answer:
        path, watched = urlsplit(request.path).path.removeprefix(NAMESPACE), _read_watched_name(request.path)
        text = f"WATCH pods/{watched}" if watched else f"{request.method} {path}"
        if path.endswith("/log"):
            self.log_queries.append(request.path.partition("?")[2])
        else:
            self.requests.append(text + _describe(request))
        if self._is_down:
            return Fault.CLOSE
        rule = self._take_rule(text)
        if rule is not None and rule.is_after:
            self._answer(request, path)
        replaced = rule.act(request) if rule is not None else None
        if self._is_down:
            return Fault.CLOSE
        if replaced is not None:
            self._record()
            return replaced
        if watched and self.watches is not None:
            return 200, self.watches.stream(watched, int(_read_query(request.path)["resourceVersion"][0]))
        return self._add_versions(self._answer(request, path))

    @property
    def _is_down(self) -> bool:
        return self.down[0] <= self.now < self.down[1]

    def _record(self) -> None:
        if self.watches is not None:
            self.watches.record({name: pod.read() for name, pod in list(self.pods.items())})
            if self._is_down:
                self.watches.cut()

    def _send_bookmark(self) -> None:
        """Send the bookmark that an API server sends about once a minute."""
        if self.watches is not None and not self._is_down and self.now >= self.next_bookmark:
            self.next_bookmark = self.now + BOOKMARK_S
            self.watches.add_bookmark()

    def _add_versions(self, answer: Answer) -> Answer:
        self._record()
        if self.watches is None or isinstance(answer, Fault) or not isinstance(answer[1], dict):
            return answer
        content: Json = answer[1]
        if "containers" in content.get("spec", {}):
            content = self.watches.versioned(content)
        elif content.get("kind") == "PodList":
            content = {**content, "items": [self.watches.versioned(pod) for pod in content["items"]]}
        return answer[0], content

    def _take_rule(self, text: str) -> Rule | None:
        rule = next((rule for rule in self.rules if rule.times and rule.part in text), None)
        if rule is not None:
            rule.times -= 1
        return rule

    def _answer(self, request: Request, path: str) -> Answer:
        kind, _, rest = path.partition("/")
        name, _, child = rest.partition("/")
        if kind == "events":
            return 200, {"kind": "EventList", "items": self.events, "metadata": {}}
        if not name:
            return self._create(request.body) if request.method == "POST" else self._list(request)
        pod = self.pods.get(name)
        if pod is None:
            return refuse(404, "NotFound", f'pods "{name}" not found')
        if child == "log":
            return self._read_log(pod, _read_query(request.path))
        return {"GET": self._get, "DELETE": self._delete, "PATCH": self._patch}[request.method](pod, request.body or {})

    def _create(self, body: Json) -> Answer:
        name = body["metadata"]["name"]
        if len(self.pods) >= self.quota:
            return refuse(403, "Forbidden", f'pods "{name}" is forbidden: exceeded quota: team-quota')
        if name in self.pods:
            return refuse(409, "AlreadyExists", f'pods "{name}" already exists')
        self.created += 1
        metadata = {**body["metadata"], "uid": f"uid-{self.created}"}
        pod = self.pods[name] = FakePod({**body, "metadata": metadata}, self.programs, self.now, self.ledger.append)
        self.prepare(pod)
        return 201, pod.read()

    def _list(self, request: Request) -> Answer:
        query = _read_query(request.path)
        selector, name = query.get("labelSelector", [""])[0].split(","), query.get("fieldSelector", [""])[0]
        found = [pod for pod in self.pods.values() if not name or name == f"metadata.name={pod.name}"]
        version = {} if self.watches is None else {"resourceVersion": str(self.watches.version)}
        items = [pod.read() for pod in found if _matches(pod, selector)]
        return 200, {"kind": "PodList", "items": items, "metadata": version}

    def _get(self, pod: FakePod, body: Any) -> Answer:
        return 200, pod.read()

    def _delete(self, pod: FakePod, body: Any) -> Answer:
        wanted, uid = body.get("preconditions", {}).get("uid"), pod.pod["metadata"]["uid"]
        if wanted not in (None, uid):
            return refuse(
                409, "Conflict", f"Precondition failed: UID in precondition: {wanted}, UID in object meta: {uid}"
            )
        if pod.deleted_at is None:
            pod.deleted_at = self.now
            pod.grace_s = body.get("gracePeriodSeconds", 30)
        if pod.has_ended or not any(each.is_running for each in pod.containers):
            del self.pods[pod.name]
        return 200, pod.read()

    def _patch(self, pod: FakePod, body: Any) -> Answer:
        metadata = pod.pod["metadata"]
        metadata["labels"] = {**(metadata.get("labels") or {}), **body.get("metadata", {}).get("labels", {})}
        pod.spec.update(body.get("spec", {}))
        return 200, pod.read()

    def _read_log(self, pod: FakePod, query: dict[str, list[str]]) -> Answer:
        container = pod.container(query["container"][0])
        if container.started_at is None:
            return refuse(400, "BadRequest", f'container "{container.name}" in pod "{pod.name}" is waiting to start')
        return 200, container.log.answer({key: values[0] for key, values in query.items()})

    def exec(self, name: str) -> str:
        """Read the result in the XCom sidecar."""
        rule = self._take_rule("exec") if not self._is_down else None
        if rule is not None:
            rule.act(Request("GET", "exec"))
        if self._is_down:
            raise ApiException(status=0, reason="[Errno 111] Connection refused")
        if not self.pods[name].container(XCOM_SIDECAR).is_running:
            raise ApiException(status=0, reason="Handshake status 500 Internal Server Error: container not found")
        return self.result

    def end_sidecar(self, name: str) -> None:
        """End the XCom sidecar."""
        sidecar = self.pods[name].container(XCOM_SIDECAR)
        if sidecar.is_running:
            sidecar.end(self.now, 0)


def _read_query(path: str) -> dict[str, list[str]]:
    return parse_qs(urlsplit(path).query)


def _read_watched_name(path: str) -> str:
    query = _read_query(path)
    return query["fieldSelector"][0].removeprefix("metadata.name=") if "watch" in query else ""


def _describe(request: Request) -> str:
    if request.method != "PATCH":
        return ""
    labels, spec = request.body.get("metadata", {}).get("labels"), request.body.get("spec")
    return "".join(f" {key}={value}" for key, value in {**(labels or {}), **(spec or {})}.items())


def _matches(pod: FakePod, selector: list[str]) -> bool:
    labels = pod.pod["metadata"].get("labels") or {}
    for word in filter(None, selector):
        key, has_not, value = word.partition("!=")
        if has_not:
            if labels.get(key) == value:
                return False
        elif word.startswith("!"):
            if word[1:] in labels:
                return False
        else:
            key, has_value, value = word.partition("=")
            if key not in labels or (has_value and labels[key] != value):
                return False
    return True
