"""One cluster, seen with one person's rights."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import Any

import urllib3
from kubernetes import client

from kpo_platform.errors import ClusterError, Conflict, Unreachable
from kpo_platform.kube.api_errors import add_conflict_fix, translate_error
from kpo_platform.kube.config import configure_from_dict, configure_from_file
from kpo_platform.kube.deadline import Deadline
from kpo_platform.kube.missing_rights import BOOTSTRAP_ROLES, Rules, find_role_files
from kpo_platform.kube.port_forward import Tunnel, is_ready, open_tunnel, resolve_pod_port
from kpo_platform.kube.resource import (
    CONFIG_MAP,
    POD,
    PORT_FORWARD,
    SECRET,
    SELF_REVIEW,
    SERVICE,
    SERVICE_ACCOUNT,
    VOLUME_CLAIM,
    Call,
    Object,
    Resource,
)

FIELD_MANAGER = "platformctl"
"""The name under which the API server notes which fields are ours."""

_CONNECT_SECONDS = 5.0
_CALL_SECONDS = 30.0
_APPLICABLE = {resource.kind: resource for resource in (CONFIG_MAP, POD, SECRET, VOLUME_CLAIM)}


class Kube:
    """One cluster, seen with one person's rights."""

    def __init__(self, api: client.ApiClient, deadline: Deadline) -> None:
        self._api = api
        self.deadline = deadline
        """When all calls together have to be done; one call takes at most 30 seconds."""
        self.role_rules: Rules = {}
        """The rules of every role, once the contract is read: they tell which of them gives a right that is missing."""
        self.role_prefix = BOOTSTRAP_ROLES
        """How the names of those roles begin that the caller is to have."""

    @classmethod
    def connect(cls, kubeconfig: str | None, context: str | None, timeout: float) -> Kube:
        """Make ready to speak to a cluster; nothing is sent yet, but a sign-in program of the kubeconfig is run.

        Args:
            kubeconfig: the file; without one what ``kubeconfig_file`` finds.
            context: the context of the file; without one its current one.
            timeout: seconds until the deadline of all calls, and of the program.

        Raises:
            ClusterError: there is no such file or context, it cannot be read, or its program failed or does not end.
        """
        deadline = Deadline(timeout)
        return cls(client.ApiClient(configure_from_file(kubeconfig, context, deadline)), deadline)

    @classmethod
    def from_kubeconfig(cls, content: Mapping[str, Any], timeout: float) -> Kube:
        """Make ready to speak to a cluster by a kubeconfig that is in no file.

        Args:
            content: the kubeconfig.
            timeout: seconds until the deadline of all calls.

        Raises:
            ClusterError: it cannot be used.
        """
        return cls(client.ApiClient(configure_from_dict(content)), Deadline(timeout))

    @property
    def server(self) -> str:
        """The URL of the API server."""
        return str(self._api.configuration.host)

    def get(self, resource: Resource, name: str, namespace: str = "") -> Object:
        """One object.

        Raises:
            NotFound: it is not there.
            ClusterError: it could not be read.
        """
        return self._call("GET", resource.path(namespace, name), resource.call("get", namespace, name))

    def list_objects(self, resource: Resource, namespace: str = "", labels: str = "") -> list[Object]:
        """All objects of a kind in a namespace, or in the cluster, that match a label selector.

        Raises:
            ClusterError: they could not be read.
        """
        query = {"labelSelector": labels} if labels else {}
        found = self._call("GET", resource.path(namespace), resource.call("list", namespace), query)
        return list(found.get("items") or [])

    def apply(self, body: Object, *, dry_run: bool = False) -> Object:
        """Create or change an object by server-side apply; fields of other managers are never taken.

        Args:
            body: the object with exactly the fields that are ours.
            dry_run: let the server check everything, rights, quota and admission among it, and write nothing.

        Returns:
            The object as the server has it now, or would have it.

        Raises:
            Forbidden: the caller may not write it.
            Conflict: another manager holds one of the fields; the message says what to do.
            ClusterError: the server refused it.
        """
        resource, meta = _APPLICABLE[body["kind"]], body["metadata"]
        query = {"fieldManager": FIELD_MANAGER, "force": "false"} | ({"dryRun": "All"} if dry_run else {})
        what = resource.call("create or patch", meta["namespace"], meta["name"])
        try:
            return self._call("PATCH", resource.path(meta["namespace"], meta["name"]), what, query, body)
        except Conflict as error:
            raise add_conflict_fix(error, body, FIELD_MANAGER) from error

    def create(self, resource: Resource, body: Object, *, dry_run: bool = False) -> Object:
        """Create an object, or ask for what is answered and kept nowhere, such as a review.

        Args:
            resource: its kind.
            body: the object.
            dry_run: let the server check everything and keep nothing.

        Raises:
            Conflict: it is there already.
            ClusterError: the server refused it.
        """
        namespace = body.get("metadata", {}).get("namespace", "")
        query = {"dryRun": "All"} if dry_run else {}
        return self._call("POST", resource.path(namespace), resource.call("create", namespace), query, body)

    def replace(self, resource: Resource, body: Object) -> Object:
        """Replace an object as a whole, if it still has the resource version of the body.

        Raises:
            Conflict: it was changed in between.
            ClusterError: the server refused it.
        """
        name, namespace = body["metadata"]["name"], body["metadata"]["namespace"]
        what = resource.call("update", namespace, name)
        return self._call("PUT", resource.path(namespace, name), what, body=body)

    def delete(self, resource: Resource, found: Object) -> None:
        """Delete exactly the object that was read: not one that was changed or made anew since.

        Raises:
            NotFound: it is gone.
            Conflict: it was changed in between.
            ClusterError: the server refused.
        """
        meta = found["metadata"]
        name, namespace = meta["name"], meta["namespace"]
        seen = {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]}
        body = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": seen}
        what = resource.call("delete", namespace, name)
        self._call("DELETE", resource.path(namespace, name), what, body=body)

    def force_delete(self, resource: Resource, name: str, namespace: str) -> None:
        """Delete an object at once, whatever has become of it, with no time to end for a pod.

        Raises:
            NotFound: it is not there.
            ClusterError: the server refused.
        """
        body = {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0}
        self._call("DELETE", resource.path(namespace, name), resource.call("delete", namespace, name), body=body)

    def create_token(self, account: str, namespace: str, seconds: int, *, dry_run: bool = False) -> Object:
        """Get a token of a service account; the server may give it a shorter life.

        Args:
            account: the service account's name.
            namespace: its namespace.
            seconds: how long the token is to live.
            dry_run: let the server check everything and sign nothing that lasts.

        Returns:
            The TokenRequest's status: ``token`` and ``expirationTimestamp``.

        Raises:
            NotFound: there is no such account.
            ClusterError: the server refused.
        """
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": seconds},
        }
        path = SERVICE_ACCOUNT.path(namespace, account, "token")
        query = {"dryRun": "All"} if dry_run else {}
        what = f"create serviceaccounts/token of {account} in namespace {namespace}"
        return dict(self._call("POST", path, what, query, body)["status"])

    def read_username(self) -> str:
        """The user that the API server takes the caller for.

        Raises:
            ClusterError: it does not answer, or knows nobody by these credentials.
        """
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        return str(self.create(SELF_REVIEW, body)["status"]["userInfo"]["username"])

    def with_timeout(self, seconds: float) -> Kube:
        """The same cluster with another deadline, for work beside the command itself."""
        other = copy(self)
        other.deadline = Deadline(seconds)
        return other

    def port_forward(self, service: str, namespace: str, port: int) -> Tunnel:
        """Open a stream to a ready pod of a Service.

        Args:
            service: the Service's name.
            namespace: its namespace.
            port: the port of the Service; the pod's own port is looked up.

        Raises:
            ClusterError: the Service has no ready pod, or the stream cannot be opened.
        """
        found = self.get(SERVICE, service, namespace)
        selector = ",".join(f"{key}={value}" for key, value in (found["spec"].get("selector") or {}).items())
        pod = next((pod for pod in self.list_objects(POD, namespace, selector) if is_ready(pod)), None)
        if pod is None:
            raise ClusterError(
                f"No pod of Service {namespace}/{service} is ready; "
                f"look with: kubectl -n {namespace} get pods -l {selector}"
            )
        name = pod["metadata"]["name"]
        what = PORT_FORWARD.call("get and create", namespace)
        seconds = self._seconds(what)
        try:
            path = POD.path(namespace, name, "portforward")
            return open_tunnel(self._api, path, resolve_pod_port(found, port, pod), seconds)
        except Exception as error:  # the library lets websocket, TLS and socket errors through as they are
            raise self._translate_error(error, what) from error

    def _call(
        self,
        method: str,
        path: str,
        what: Call | str,
        query: Mapping[str, str] | None = None,
        body: Object | None = None,
    ) -> Object:
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/apply-patch+yaml" if method == "PATCH" else "application/json"
        try:
            # The generated classes offer the same per kind; this way a kind is one line of data.
            answer: Object = self._api.call_api(
                path,
                method,
                query_params=list((query or {}).items()),
                header_params=headers,
                body=body,
                auth_settings=["BearerToken"],
                response_types_map={200: "object", 201: "object", 202: "object"},
                _return_http_data_only=True,
                _request_timeout=(_CONNECT_SECONDS, self._seconds(what)),
            )
        except (client.ApiException, urllib3.exceptions.HTTPError) as error:
            raise self._translate_error(error, what) from error
        return answer

    def _translate_error(self, error: BaseException, what: Call | str) -> ClusterError:
        return translate_error(error, str(what), self.server, find_role_files(what, self.role_prefix, self.role_rules))

    def _seconds(self, what: Call | str) -> float:
        left = self.deadline.remaining_seconds()
        if not left:
            raise Unreachable(f"Out of time before this could be asked: {what}; give more with --timeout.")
        return min(left, _CALL_SECONDS)
