"""A server that keeps objects and connections in memory, as far as bootstrap asks for them."""

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
"""The pod by which a node is asked about a registry: whoever has only the usual roles may not touch it."""

WRITTEN = "2026-06-01T10:00:00Z"
"""When everything was made that bootstrap makes here."""

_LISTED = (
    *("configmaps", "pods", "persistentvolumeclaims", "storageclasses"),
    *("cronjobs", "deployments", "jobs", "statefulsets"),
)
"""The kinds that can be listed."""


class Platform:
    """The Kubernetes API and Airflow's at one address: two teams, one of them with a registry."""

    def __init__(self) -> None:
        self.connections: dict[str, Any] = {}
        self.lease: Any = None
        self.writes = 0
        self.objects: dict[str, Any] = {}
        self.refused: set[str] = {CHECK}
        self._keep("/api/v1/namespaces/airflow/configmaps/airflow-contract", data={"contract.json": _contract()})
        admin = {"username": _base64("admin"), "password": _base64(PASSWORD)}
        self._keep("/api/v1/namespaces/airflow/secrets/airflow-admin", data=admin)
        for team in ("alpha", "beta"):
            self.keep_namespace(team)
        self._keep("/apis/storage.k8s.io/v1/storageclasses/local", volumeBindingMode="WaitForFirstConsumer")
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
        if url.path in self.objects:
            return 200, self.objects[url.path]
        if url.path == "/api/v1/namespaces":
            spaces = [each for path, each in self.objects.items() if re.fullmatch(rf"{url.path}/[^/]+", path)]
            selector = parse_qs(url.query).get("labelSelector", [""])[0]
            return 200, {"items": [each for each in spaces if _matches(each, selector)]}
        if url.path.endswith(_LISTED):
            inside, selector = f"{url.path}/", parse_qs(url.query).get("labelSelector", [""])[0]
            found = [each for path, each in self.objects.items() if path.startswith(inside)]
            contracts = url.path.endswith("configmaps")
            return 200, {"items": [each for each in found if contracts or not selector or _matches(each, selector)]}
        return status(404, "not found")

    def keep_namespace(self, team: str, release_namespace: str = "airflow", name: str = "") -> None:
        """Keep a team's namespace as the chart makes it, by the name that it has by default or another."""
        name = name or f"team-{team}"
        labels = {"app.kubernetes.io/part-of": "kpo-platform", "app.kubernetes.io/instance": "airflow"}
        self._keep(f"/api/v1/namespaces/{name}")
        metadata = self.objects[f"/api/v1/namespaces/{name}"]["metadata"]
        metadata["labels"] = {**labels, "kpo-platform/team": team}
        metadata["annotations"] = {"meta.helm.sh/release-namespace": release_namespace}

    def _keep(self, path: str, **content: Any) -> None:
        self.objects[path] = {"metadata": {"name": path.rpartition("/")[2], "resourceVersion": "1"}, **content}

    def _apply(self, path: str, body: dict[str, Any], dry_run: bool) -> Answer:
        seen = {"uid": path, "resourceVersion": "1", "creationTimestamp": WRITTEN}
        kept = {**body, "metadata": {**body["metadata"], **seen}}
        if body["kind"] == "PersistentVolumeClaim":
            kept = {**kept, "spec": {"storageClassName": "local", **body["spec"]}, "status": {"phase": "Pending"}}
        if not dry_run:
            self.objects[path] = kept
            self.writes += 1
        return 200, kept

    def _delete(self, path: str, body: Any) -> Answer:
        """Delete an object if it is the one that was read."""
        found = self.objects.get(path)
        if found is None:
            return status(404, "not found")
        if body["preconditions"]["resourceVersion"] != found["metadata"]["resourceVersion"]:
            return status(409, "the object has been modified")
        del self.objects[path]
        self.writes += 1
        return 200, {"kind": "Status"}

    def _lease(self, request: Request) -> Answer:
        """One Lease, with the conflicts of the real API server."""
        found = self.lease
        if request.method == "DELETE" and found:
            self.lease = None
            return 200, {}
        if found is None and request.method != "POST":
            return status(404, "not found")
        if request.method == "GET":
            return 200, found
        version = str(request.body["metadata"].get("resourceVersion", ""))
        if found and found["metadata"]["resourceVersion"] != version:
            return status(409, "the object has been modified")
        metadata = {**request.body["metadata"], "uid": "lease", "resourceVersion": str(int(version or 0) + 1)}
        self.lease = {**request.body, "metadata": metadata}
        return 200, self.lease

    def _airflow(self, request: Request) -> Answer:
        if request.method == "GET":
            found = self.connections.get(request.path.rpartition("/")[2])
            return (200, found) if found else (404, {"detail": "not found"})
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
