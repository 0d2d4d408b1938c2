"""An identity of the Kubernetes API, and requests that test its rights.

Every right is tested with a real request, as a dry run where it would change something, because an access review only
reports what RBAC says.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from ssl import SSLContext
from typing import Any

from cluster.support.pods.sleeper import POD

Rule = tuple[str, str, str, str]
"""API group, resource, name of the object (empty for any), verb."""

_DRY_RUN = "?dryRun=All"
_NAMESPACE = "/api/v1/namespaces/{namespace}"
_RBAC = "/apis/rbac.authorization.k8s.io/v1"
_POD = f"{_NAMESPACE}/pods/rights"
_ROLE_REF = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
_DRY_RUN_OBJECT = {"metadata": {"name": "rights-dry"}}

NAMESPACE_REQUESTS: dict[str, tuple[str, str, Any]] = {
    "create pods": ("POST", f"{_NAMESPACE}/pods{_DRY_RUN}", {**POD, **_DRY_RUN_OBJECT}),
    "get pods": ("GET", _POD, None),
    "list pods": ("GET", f"{_NAMESPACE}/pods", None),
    "watch pods": ("GET", f"{_NAMESPACE}/pods?watch=true&timeoutSeconds=1", None),
    "patch pods": ("PATCH", _POD + _DRY_RUN, {"metadata": {"labels": {"seen": "yes"}}}),
    "update pods": ("PUT", _POD + _DRY_RUN, {**POD, "metadata": {"name": "rights"}}),
    "delete pods": ("DELETE", _POD + _DRY_RUN, None),
    "deletecollection pods": ("DELETE", f"{_NAMESPACE}/pods{_DRY_RUN}&labelSelector=none%3Dsuch", None),
    "get pods/log": ("GET", f"{_POD}/log", None),
    "create pods/exec": ("POST", f"{_POD}/exec?command=true&stdout=true", None),
    "get pods/exec": ("GET", f"{_POD}/exec?command=true&stdout=true", None),
    "create pods/attach": ("POST", f"{_POD}/attach?stdout=true", None),
    "create pods/portforward": ("POST", f"{_POD}/portforward?ports=80", None),
    "create pods/eviction": ("POST", f"{_POD}/eviction{_DRY_RUN}", {"kind": "Eviction", "apiVersion": "policy/v1"}),
    "patch pods/ephemeralcontainers": ("PATCH", f"{_POD}/ephemeralcontainers{_DRY_RUN}", {"spec": {}}),
    "list events": ("GET", f"{_NAMESPACE}/events", None),
    "watch events": ("GET", f"{_NAMESPACE}/events?watch=true&timeoutSeconds=1", None),
    "list secrets": ("GET", f"{_NAMESPACE}/secrets", None),
    "get secrets": ("GET", f"{_NAMESPACE}/secrets/regcred", None),
    "create secrets": (
        "POST",
        f"{_NAMESPACE}/secrets{_DRY_RUN}",
        {"apiVersion": "v1", "kind": "Secret", **_DRY_RUN_OBJECT},
    ),
    "list configmaps": ("GET", f"{_NAMESPACE}/configmaps", None),
    "get persistentvolumeclaims": ("GET", f"{_NAMESPACE}/persistentvolumeclaims/data", None),
    "list persistentvolumeclaims": ("GET", f"{_NAMESPACE}/persistentvolumeclaims", None),
    "list resourcequotas": ("GET", f"{_NAMESPACE}/resourcequotas", None),
    "create serviceaccounts/token": ("POST", f"{_NAMESPACE}/serviceaccounts/default/token{_DRY_RUN}", {"spec": {}}),
    "create roles": ("POST", f"{_RBAC}/namespaces/{{namespace}}/roles{_DRY_RUN}", _DRY_RUN_OBJECT),
    "create rolebindings": (
        "POST",
        f"{_RBAC}/namespaces/{{namespace}}/rolebindings{_DRY_RUN}",
        {**_DRY_RUN_OBJECT, "roleRef": _ROLE_REF},
    ),
}
"""Verb and resource → its test request in a namespace; more than any role grants, to detect escalations."""

CLUSTER_REQUESTS: dict[str, tuple[str, str, Any]] = {
    "list pods everywhere": ("GET", "/api/v1/pods", None),
    "list secrets everywhere": ("GET", "/api/v1/secrets", None),
    "list namespaces": ("GET", "/api/v1/namespaces", None),
    "create namespaces": ("POST", f"/api/v1/namespaces{_DRY_RUN}", _DRY_RUN_OBJECT),
    "list nodes": ("GET", "/api/v1/nodes", None),
    "list clusterroles": ("GET", f"{_RBAC}/clusterroles", None),
    "create clusterrolebindings": (
        "POST",
        f"{_RBAC}/clusterrolebindings{_DRY_RUN}",
        {**_DRY_RUN_OBJECT, "roleRef": _ROLE_REF},
    ),
}
"""The same for cluster-scoped requests."""

_AUTHORIZED = (200, 201, 400, 404, 422)
"""Status codes after authorization; 400 is exec without an upgrade, 422 an incomplete body."""


@dataclass(frozen=True)
class Identity:
    """An identity with a token, or with the administrator's certificate and impersonation.

    Attributes:
        server: the URL of the API server.
        ssl_context: the CA of the server, with the client certificate if that is the credential.
        headers: a token, or the impersonated user.
    """

    server: str
    ssl_context: SSLContext
    headers: dict[str, str] = field(repr=False)

    def send(self, method: str, path: str, body: Any) -> tuple[int, bytes]:
        """Send a request and return status and body of the response."""
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.server + path, data, {**self.headers, "Content-Type": kind}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=30, context=self.ssl_context) as reply:
                return int(reply.status), reply.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def list_granted(self, namespace: str = "") -> set[str]:
        """Return the authorized requests: of a namespace, or the cluster-scoped ones without it."""
        statuses = {}
        for name, (method, path, body) in (NAMESPACE_REQUESTS if namespace else CLUSTER_REQUESTS).items():
            statuses[name], _ = self.send(method, path.format(namespace=namespace), body)
        unexpected = {name: status for name, status in statuses.items() if status not in (*_AUTHORIZED, 403)}
        assert not unexpected
        return {name for name, status in statuses.items() if status != 403}

    def read_rules(self, namespace: str) -> set[Rule]:
        """Return the identity's rules in a namespace from a SelfSubjectRulesReview."""
        path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
        status, response = self.send("POST", path, {"spec": {"namespace": namespace}})
        assert status == 201, response
        return split_rules(json.loads(response)["status"]["resourceRules"])

    def read_username(self) -> str:
        """Return the identity's user name from a SelfSubjectReview."""
        status, response = self.send("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {})
        assert status == 201, response
        return str(json.loads(response)["status"]["userInfo"]["username"])


def split_rules(rules: list[dict[str, Any]]) -> set[Rule]:
    """Split RBAC rules into single verbs on single resources."""
    return {
        (group, resource, name, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for name in rule.get("resourceNames") or [""]
        for verb in rule["verbs"]
    }
