"""Somebody who speaks to the API server, and the requests by which their rights are tried.

Each right is tried for itself, as a dry run where it would change something. Asking the API server whether it would be
allowed says what RBAC thinks; doing it says what happens.
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

_DRY = "?dryRun=All"
_SPACE = "/api/v1/namespaces/{namespace}"
_RBAC = "/apis/rbac.authorization.k8s.io/v1"
_POD = f"{_SPACE}/pods/rights"
_ROLE_REF = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
_TRY = {"metadata": {"name": "rights-dry"}}

IN_A_NAMESPACE: dict[str, tuple[str, str, Any]] = {
    "create pods": ("POST", f"{_SPACE}/pods{_DRY}", {**POD, **_TRY}),
    "get pods": ("GET", _POD, None),
    "list pods": ("GET", f"{_SPACE}/pods", None),
    "watch pods": ("GET", f"{_SPACE}/pods?watch=true&timeoutSeconds=1", None),
    "patch pods": ("PATCH", _POD + _DRY, {"metadata": {"labels": {"seen": "yes"}}}),
    "update pods": ("PUT", _POD + _DRY, {**POD, "metadata": {"name": "rights"}}),
    "delete pods": ("DELETE", _POD + _DRY, None),
    "deletecollection pods": ("DELETE", f"{_SPACE}/pods{_DRY}&labelSelector=none%3Dsuch", None),
    "get pods/log": ("GET", f"{_POD}/log", None),
    "create pods/exec": ("POST", f"{_POD}/exec?command=true&stdout=true", None),
    "get pods/exec": ("GET", f"{_POD}/exec?command=true&stdout=true", None),
    "create pods/attach": ("POST", f"{_POD}/attach?stdout=true", None),
    "create pods/portforward": ("POST", f"{_POD}/portforward?ports=80", None),
    "create pods/eviction": ("POST", f"{_POD}/eviction{_DRY}", {"kind": "Eviction", "apiVersion": "policy/v1"}),
    "patch pods/ephemeralcontainers": ("PATCH", f"{_POD}/ephemeralcontainers{_DRY}", {"spec": {}}),
    "list events": ("GET", f"{_SPACE}/events", None),
    "watch events": ("GET", f"{_SPACE}/events?watch=true&timeoutSeconds=1", None),
    "list secrets": ("GET", f"{_SPACE}/secrets", None),
    "get secrets": ("GET", f"{_SPACE}/secrets/regcred", None),
    "create secrets": ("POST", f"{_SPACE}/secrets{_DRY}", {"apiVersion": "v1", "kind": "Secret", **_TRY}),
    "list configmaps": ("GET", f"{_SPACE}/configmaps", None),
    "list persistentvolumeclaims": ("GET", f"{_SPACE}/persistentvolumeclaims", None),
    "list resourcequotas": ("GET", f"{_SPACE}/resourcequotas", None),
    "create serviceaccounts/token": ("POST", f"{_SPACE}/serviceaccounts/default/token{_DRY}", {"spec": {}}),
    "create roles": ("POST", f"{_RBAC}/namespaces/{{namespace}}/roles{_DRY}", _TRY),
    "create rolebindings": (
        "POST",
        f"{_RBAC}/namespaces/{{namespace}}/rolebindings{_DRY}",
        {**_TRY, "roleRef": _ROLE_REF},
    ),
}
"""Verb and resource → how it is tried in a namespace; more than anybody has, so that an escalation is seen refused."""

IN_THE_CLUSTER: dict[str, tuple[str, str, Any]] = {
    "list pods everywhere": ("GET", "/api/v1/pods", None),
    "list secrets everywhere": ("GET", "/api/v1/secrets", None),
    "list namespaces": ("GET", "/api/v1/namespaces", None),
    "create namespaces": ("POST", f"/api/v1/namespaces{_DRY}", _TRY),
    "list nodes": ("GET", "/api/v1/nodes", None),
    "list clusterroles": ("GET", f"{_RBAC}/clusterroles", None),
    "create clusterrolebindings": ("POST", f"{_RBAC}/clusterrolebindings{_DRY}", {**_TRY, "roleRef": _ROLE_REF}),
}
"""The same for what lies in no namespace, or in all."""

_LET_IN = (200, 201, 400, 404, 422)
"""Statuses of a request that passed authorization; 400 is exec without an upgrade, 422 a body that says too little."""


@dataclass(frozen=True)
class Identity:
    """Somebody with credentials: a token, or those of the administrator who acts as somebody else.

    Attributes:
        server: the URL of the API server.
        trust: whom to believe to be it, with the client certificate where that is the credential.
        headers: a token, or whom to act as.
    """

    server: str
    trust: SSLContext
    headers: dict[str, str] = field(repr=False)

    def send(self, method: str, path: str, body: Any) -> tuple[int, bytes]:
        """Send one request and give status and body of the answer."""
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        data = None if body is None else json.dumps(body).encode()
        call = urllib.request.Request(self.server + path, data, {**self.headers, "Content-Type": kind}, method=method)
        try:
            with urllib.request.urlopen(call, timeout=30, context=self.trust) as reply:
                return int(reply.status), reply.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def granted(self, namespace: str = "") -> set[str]:
        """The requests that were let in: those in a namespace, or without one those in the whole cluster."""
        statuses = {}
        for name, (method, path, body) in (IN_A_NAMESPACE if namespace else IN_THE_CLUSTER).items():
            statuses[name], _ = self.send(method, path.format(namespace=namespace), body)
        unexpected = {name: status for name, status in statuses.items() if status not in (*_LET_IN, 403)}
        assert not unexpected
        return {name for name, status in statuses.items() if status != 403}

    def rules(self, namespace: str) -> set[Rule]:
        """What the API server itself says of this identity's rights in a namespace (SelfSubjectRulesReview)."""
        path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
        status, answer = self.send("POST", path, {"spec": {"namespace": namespace}})
        assert status == 201, answer
        return atoms(json.loads(answer)["status"]["resourceRules"])

    def name(self) -> str:
        """Who the API server takes this to be (SelfSubjectReview)."""
        status, answer = self.send("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {})
        assert status == 201, answer
        return str(json.loads(answer)["status"]["userInfo"]["username"])


def atoms(rules: list[dict[str, Any]]) -> set[Rule]:
    """Rules of RBAC, one verb on one resource each."""
    return {
        (group, resource, name, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for name in rule.get("resourceNames") or [""]
        for verb in rule["verbs"]
    }
