"""A client of the Kubernetes API."""

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
from kpo_platform.kube.missing_rights import BOOTSTRAP_ROLE_PREFIX, Rules, find_role_files
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
"""The field manager of server-side apply."""

_CONNECT_SECONDS = 5.0
_CALL_SECONDS = 30.0
_APPLICABLE = {resource.kind: resource for resource in (CONFIG_MAP, POD, SECRET, VOLUME_CLAIM)}


class Kube:
    """A client of one cluster, with the rights of one user."""

    def __init__(self, api: client.ApiClient, deadline: Deadline) -> None:
        self._api = api
        self.deadline = deadline
        """The deadline of all calls together; the timeout of one call is at most 30 seconds."""
        self.role_rules: Rules = {}
        """The rules of every role; empty until the contract is read. Errors name the role that grants the call."""
        self.role_prefix = BOOTSTRAP_ROLE_PREFIX
        """The name prefix of the roles that the caller needs."""

    @classmethod
    def connect(cls, kubeconfig: str | None, context: str | None, timeout: float) -> Kube:
        """Create a client from a kubeconfig file. Nothing is sent, but an exec plugin of the file runs.

        Args:
            kubeconfig: the file; by default the one that ``find_kubeconfig`` finds.
            context: the file's context; by default the current one.
            timeout: seconds until the deadline of all calls and of the exec plugin.

        Raises:
            ClusterError: the file or context does not exist or cannot be read, or the exec plugin failed or timed out.
        """
        deadline = Deadline(timeout)
        return cls(client.ApiClient(configure_from_file(kubeconfig, context, deadline)), deadline)

    @classmethod
    def from_kubeconfig(cls, content: Mapping[str, Any], timeout: float) -> Kube:
        """Create a client from the content of a kubeconfig.

        Args:
            content: the parsed kubeconfig.
            timeout: seconds until the deadline of all calls.

        Raises:
            ClusterError: the kubeconfig cannot be used.
        """
        return cls(client.ApiClient(configure_from_dict(content)), Deadline(timeout))

    @property
    def server(self) -> str:
        """The URL of the API server."""
        return str(self._api.configuration.host)

    def get(self, resource: Resource, name: str, namespace: str = "") -> Object:
        """Get an object.

        Raises:
            NotFound: the object does not exist.
            ClusterError: the object could not be read.
        """
        return self._call("GET", resource.path(namespace, name), resource.call("get", namespace, name))

    def list_objects(self, resource: Resource, namespace: str = "", labels: str = "", fields: str = "") -> list[Object]:
        """List the objects of a kind in a namespace, or in the cluster, that match a label and a field selector.

        Raises:
            ClusterError: the objects could not be read.
        """
        selectors = {"labelSelector": labels, "fieldSelector": fields}
        query = {name: value for name, value in selectors.items() if value}
        answer = self._call("GET", resource.path(namespace), resource.call("list", namespace), query)
        return list(answer.get("items") or [])

    def apply(self, body: Object, *, dry_run: bool = False) -> Object:
        """Create or change an object by server-side apply, without forcing conflicts.

        Args:
            body: the object, with only the fields that this client manages.
            dry_run: only check rights, quota and admission in the API server.

        Returns:
            The object after the call, or as it would be without ``dry_run``.

        Raises:
            Forbidden: the caller may not write it.
            Conflict: another field manager owns one of the fields; the message has the fix.
            ClusterError: the API server refused the call.
        """
        resource, meta = _APPLICABLE[body["kind"]], body["metadata"]
        query = {"fieldManager": FIELD_MANAGER, "force": "false"} | ({"dryRun": "All"} if dry_run else {})
        call = resource.call("create or patch", meta["namespace"], meta["name"])
        try:
            return self._call("PATCH", resource.path(meta["namespace"], meta["name"]), call, query, body)
        except Conflict as error:
            raise add_conflict_fix(error, body, FIELD_MANAGER) from error

    def create(self, resource: Resource, body: Object, *, dry_run: bool = False) -> Object:
        """Create an object, or send a review such as SelfSubjectReview.

        Args:
            resource: the object's kind.
            body: the object.
            dry_run: only check the object in the API server.

        Raises:
            Conflict: the object exists.
            ClusterError: the API server refused the call.
        """
        namespace = body.get("metadata", {}).get("namespace", "")
        query = {"dryRun": "All"} if dry_run else {}
        return self._call("POST", resource.path(namespace), resource.call("create", namespace), query, body)

    def replace(self, resource: Resource, body: Object) -> Object:
        """Replace an object if it still has the resource version of the body.

        Raises:
            Conflict: the object was changed meanwhile.
            ClusterError: the API server refused the call.
        """
        name, namespace = body["metadata"]["name"], body["metadata"]["namespace"]
        call = resource.call("update", namespace, name)
        return self._call("PUT", resource.path(namespace, name), call, body=body)

    def delete(self, resource: Resource, body: Object) -> None:
        """Delete an object if its uid and resource version are still those of the body.

        Raises:
            NotFound: the object does not exist any more.
            Conflict: the object was changed or created again meanwhile.
            ClusterError: the API server refused the call.
        """
        meta = body["metadata"]
        name, namespace = meta["name"], meta["namespace"]
        preconditions = {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]}
        options = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": preconditions}
        call = resource.call("delete", namespace, name)
        self._call("DELETE", resource.path(namespace, name), call, body=options)

    def force_delete(self, resource: Resource, name: str, namespace: str) -> None:
        """Delete an object without preconditions and without a grace period.

        Raises:
            NotFound: the object does not exist.
            ClusterError: the API server refused the call.
        """
        options = {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0}
        self._call("DELETE", resource.path(namespace, name), resource.call("delete", namespace, name), body=options)

    def create_token(self, account: str, namespace: str, seconds: int, *, dry_run: bool = False) -> Object:
        """Create a token of a service account; the API server may shorten its lifetime.

        Args:
            account: the service account's name.
            namespace: its namespace.
            seconds: the requested lifetime of the token.
            dry_run: only check the request in the API server; no token is issued.

        Returns:
            The TokenRequest's status: ``token`` and ``expirationTimestamp``.

        Raises:
            NotFound: the service account does not exist.
            ClusterError: the API server refused the call.
        """
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": seconds},
        }
        path = SERVICE_ACCOUNT.path(namespace, account, "token")
        query = {"dryRun": "All"} if dry_run else {}
        call = f"create serviceaccounts/token of {account} in namespace {namespace}"
        return dict(self._call("POST", path, call, query, body)["status"])

    def read_username(self) -> str:
        """Read the name of the authenticated user.

        Raises:
            ClusterError: the API server does not answer, or rejects the credentials.
        """
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        return str(self.create(SELF_REVIEW, body)["status"]["userInfo"]["username"])

    def with_timeout(self, seconds: float) -> Kube:
        """Return a client of the same cluster with a deadline of its own."""
        kube = copy(self)
        kube.deadline = Deadline(seconds)
        return kube

    def port_forward(self, service: str, namespace: str, port: int) -> Tunnel:
        """Open a stream to a ready pod of a Service.

        Args:
            service: the Service's name.
            namespace: its namespace.
            port: the port of the Service; the pod's port is read from it.

        Raises:
            ClusterError: the Service has no ready pod, or the stream cannot be opened.
        """
        body = self.get(SERVICE, service, namespace)
        selector = ",".join(f"{key}={value}" for key, value in (body["spec"].get("selector") or {}).items())
        pod = next((pod for pod in self.list_objects(POD, namespace, selector) if is_ready(pod)), None)
        if pod is None:
            raise ClusterError(
                f"No pod of Service {namespace}/{service} is ready. See kubectl -n {namespace} get pods -l {selector}"
            )
        name = pod["metadata"]["name"]
        call = PORT_FORWARD.call("get and create", namespace)
        seconds = self._get_call_timeout(call)
        try:
            path = POD.path(namespace, name, "portforward")
            return open_tunnel(self._api, path, resolve_pod_port(body, port, pod), seconds)
        except Exception as error:  # the library raises errors of websocket, TLS and socket unwrapped
            raise self._translate_error(error, call) from error

    def _call(
        self,
        method: str,
        path: str,
        call: Call | str,
        query: Mapping[str, str] | None = None,
        body: Object | None = None,
    ) -> Object:
        answer: Object = self.send(method, path, call, query, body)
        return answer

    def send(
        self,
        method: str,
        path: str,
        call: Call | str,
        query: Mapping[str, str] | None = None,
        body: Object | None = None,
        accept: str = "application/json",
        *,
        is_text: bool = False,
    ) -> Any:
        """Send a request, and return its answer: an object, or text; raises ClusterError as `get` does."""
        headers = {"Accept": accept}
        if body is not None:
            headers["Content-Type"] = "application/apply-patch+yaml" if method == "PATCH" else "application/json"
        try:
            # Not by the library's generated classes, because each kind needs a different one.
            answer = self._api.call_api(
                path,
                method,
                query_params=list((query or {}).items()),
                header_params=headers,
                body=body,
                auth_settings=["BearerToken"],
                response_types_map=dict.fromkeys((200, 201, 202), "object"),
                _preload_content=not is_text,
                _return_http_data_only=True,
                _request_timeout=(_CONNECT_SECONDS, self._get_call_timeout(call)),
            )
        except (client.ApiException, urllib3.exceptions.HTTPError) as error:
            raise self._translate_error(error, call) from error
        return answer.data.decode(errors="replace") if is_text else answer

    def _translate_error(self, error: BaseException, call: Call | str) -> ClusterError:
        return translate_error(error, str(call), self.server, find_role_files(call, self.role_prefix, self.role_rules))

    def _get_call_timeout(self, call: Call | str) -> float:
        remaining_seconds = self.deadline.remaining_seconds()
        if not remaining_seconds:
            raise Unreachable(f"Cannot {call}: the timeout of the command has passed. Raise --timeout.")
        return min(remaining_seconds, _CALL_SECONDS)
