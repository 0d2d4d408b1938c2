"""A fake of the Kubernetes API and Airflow's API, for tests of bootstrap."""

from __future__ import annotations

import base64
import json
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

from unit.support.contracts import CONTRACT
from unit.support.http_server import Answer, Request, status

PASSWORD = "of-the-admin"
CHECK = "/api/v1/namespaces/team-alpha/pods/registry-check"
"""The pod that checks a registry login on a node; only the role bootstrap-operator-registry grants access to it."""

WRITTEN = "2026-06-01T10:00:00Z"
"""The creation time of all objects that bootstrap creates."""

_LISTED = (
    *("configmaps", "events", "limitranges", "nodes", "pods", "persistentvolumeclaims", "resourcequotas"),
    "storageclasses",
    *("cronjobs", "deployments", "jobs", "statefulsets"),
)
"""The kinds that can be listed."""


class Platform:
    """Both APIs at one address; of the two teams, alpha has a registry.

    Attributes:
        connections: Airflow's connections by id.
        lease: the Lease of bootstrap; None if no run holds it.
        writes: the number of written objects and connections.
        objects: the Kubernetes objects by URL path.
        refused: the URL paths that the user has no right to.
        dry_run: the answer to the dry run of a new pod; None if it is accepted.
    """

    def __init__(self) -> None:
        self.connections: dict[str, Any] = {}
        self.lease: Any = None
        self.writes = 0
        self.objects: dict[str, Any] = {}
        self.refused: set[str] = {CHECK}
        self.dry_run: Answer | None = None
        self._add("/api/v1/namespaces/airflow/configmaps/airflow-contract", data={"contract.json": _contract()})
        admin = {"username": _base64("admin"), "password": _base64(PASSWORD)}
        self._add("/api/v1/namespaces/airflow/secrets/airflow-admin", data=admin)
        for team in ("alpha", "beta"):
            self.add_namespace(team)
        self._add("/apis/storage.k8s.io/v1/storageclasses/local", volumeBindingMode="WaitForFirstConsumer")
        default = {"storageclass.kubernetes.io/is-default-class": "true"}
        self.objects["/apis/storage.k8s.io/v1/storageclasses/local"]["metadata"]["annotations"] = default

    def __call__(self, request: Request) -> Answer:
        url = urlsplit(request.path)
        if url.path in self.refused:
            return status(403, 'User "jane" cannot do that')
        if url.path == "/auth/token":
            return (201, {"access_token": "abc"}) if request.body["password"] == PASSWORD else (401, {})
        if url.path.startswith("/api/v2/connections"):
            return self._airflow(request)
        if "/leases" in url.path:
            return self._lease(request)
        if request.method == "DELETE":
            return self._delete(url.path, request.body)
        if request.method == "PATCH":
            return self._apply(url.path, request.body, "dryRun" in url.query)
        if request.method == "POST" and url.path.endswith("/pods") and "dryRun=All" in url.query:
            return self.dry_run or (201, {**request.body, "status": {"phase": "Pending"}})
        if url.path in self.objects:
            return 200, self.objects[url.path]
        if url.path == "/api/v1/namespaces":
            namespaces = [item for path, item in self.objects.items() if re.fullmatch(rf"{url.path}/[^/]+", path)]
            selector = parse_qs(url.query).get("labelSelector", [""])[0]
            return 200, {"items": [item for item in namespaces if _matches(item, selector)]}
        if url.path.endswith(_LISTED):
            return self._list(url.path, {key: values[0] for key, values in parse_qs(url.query).items()})
        return status(404, "not found")

    def add_namespace(self, team: str, release_namespace: str = "airflow", name: str = "") -> None:
        """Add a team's namespace with the labels that the chart sets."""
        name = name or f"team-{team}"
        labels = {"app.kubernetes.io/part-of": "kpo-platform", "app.kubernetes.io/instance": "airflow"}
        self._add(f"/api/v1/namespaces/{name}")
        metadata = self.objects[f"/api/v1/namespaces/{name}"]["metadata"]
        metadata["labels"] = {**labels, "kpo-platform/team": team}
        metadata["annotations"] = {"meta.helm.sh/release-namespace": release_namespace}

    def _list(self, path: str, query: dict[str, str]) -> Answer:
        """List objects by labels, in pages."""
        selector, ignores_labels = query.get("labelSelector", ""), path.endswith("configmaps")
        listed = [item for key, item in self.objects.items() if key.startswith(f"{path}/") and not key.endswith("/log")]
        items = [item for item in listed if ignores_labels or not selector or _matches(item, selector)]
        start = int(query.get("continue", "0"))
        end = start + int(query.get("limit", len(items)))
        metadata = {"continue": str(end)} if end < len(items) else {}
        return 200, {"items": items[start:end], "metadata": metadata}

    def _add(self, path: str, **content: Any) -> None:
        self.objects[path] = {"metadata": {"name": path.rpartition("/")[2], "resourceVersion": "1"}, **content}

    def _apply(self, path: str, body: dict[str, Any], dry_run: bool) -> Answer:
        server_fields = {"uid": path, "resourceVersion": "1", "creationTimestamp": WRITTEN}
        stored = {**body, "metadata": {**body["metadata"], **server_fields}}
        if body["kind"] == "PersistentVolumeClaim":
            stored = {**stored, "spec": {"storageClassName": "local", **body["spec"]}, "status": {"phase": "Pending"}}
        if not dry_run:
            self.objects[path] = stored
            self.writes += 1
        return 200, stored

    def _delete(self, path: str, body: Any) -> Answer:
        """Delete an object if it has the resource version of the preconditions."""
        stored = self.objects.get(path)
        if stored is None:
            return status(404, "not found")
        if body["preconditions"]["resourceVersion"] != stored["metadata"]["resourceVersion"]:
            return status(409, "the object has been modified")
        del self.objects[path]
        self.writes += 1
        return 200, {"kind": "Status"}

    def _lease(self, request: Request) -> Answer:
        """Read or change the Lease, with the conflicts of the real API server."""
        lease = self.lease
        if request.method == "DELETE" and lease:
            self.lease = None
            return 200, {}
        if lease is None and request.method != "POST":
            return status(404, "not found")
        if request.method == "GET":
            return 200, lease
        version = str(request.body["metadata"].get("resourceVersion", ""))
        if lease and lease["metadata"]["resourceVersion"] != version:
            return status(409, "the object has been modified")
        metadata = {**request.body["metadata"], "uid": "lease", "resourceVersion": str(int(version or 0) + 1)}
        self.lease = {**request.body, "metadata": metadata}
        return 200, self.lease

    def _airflow(self, request: Request) -> Answer:
        if request.method == "GET":
            connection = self.connections.get(request.path.rpartition("/")[2])
            return (200, connection) if connection else (404, {"detail": "not found"})
        self.connections[request.body["connection_id"]] = request.body
        self.writes += 1
        return 201, request.body


def _matches(item: dict[str, Any], selector: str) -> bool:
    labels = item["metadata"].get("labels", {})
    pairs = [word.partition("=") for word in selector.split(",")]
    return all(labels.get(key) == value if equals else key in labels for key, equals, value in pairs)


def _contract() -> str:
    team = CONTRACT["teams"]["alpha"]
    registry = {"host": "registry.test", "pullSecret": "regcred"}
    teams = {"alpha": {**team, "registry": registry}, "beta": {**team, "namespace": "team-beta"}}
    return json.dumps({**CONTRACT, "teams": teams})


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
