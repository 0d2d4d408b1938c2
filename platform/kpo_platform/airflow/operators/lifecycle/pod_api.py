"""Requests on pods, repeated while the API server does not answer."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from airflow.sdk.exceptions import AirflowException
from kubernetes.client import ApiException, CoreV1Api
from urllib3.exceptions import ProtocolError

from kpo_platform.airflow.api_errors import has_other_uid, is_existing, is_missing, is_of_proxy, is_transient
from kpo_platform.airflow.operators.lifecycle.api_request import READ_TIMEOUT_S, send_request
from kpo_platform.airflow.operators.lifecycle.patience import Patience
from kpo_platform.diagnosis.need import Need
from kpo_platform.errors import PodError
from kpo_platform.pod.identity import START_LABEL
from kpo_platform.pod.json_fields import read_object, read_text
from kpo_platform.pod.merge import Json

CHECKED_LABEL = "already_checked"
"""The stock operator's label of a pod that no later process may take up."""

ENDING_DEADLINE_S = 1
"""The ``activeDeadlineSeconds`` of a pod that the task ends and keeps."""

_IMPATIENT_TIMEOUT_S = 15.0
_NAME_WAIT_S = 60.0
_NAME_INTERVAL_S = 2.0
_LATE_CREATION_S = 2
"""Seconds; Airflow kills a stopped process after five."""
_MARK: Json = {"metadata": {"labels": {CHECKED_LABEL: "True"}}}


class PodNameTaken(PodError, AirflowException):  # noqa: N818
    """Another pod has the name of the task's pod."""


class PodApi:
    """Requests on pods. They return the pod's JSON, and log no pod.

    Every method may raise ApiServerUnavailable, and ApiException if the API server refuses the request; those that
    change a pod raise PodError if its uid is not known.

    Args:
        client: returns the current client; it is asked before each request, and may raise ConnectionUnreadable.
        patience: repeats the requests.
        refresh: makes `client` return one with new credentials, after the API server has rejected the old ones.
        hold: delays signals while the request that creates a pod is pending.
    """

    def __init__(
        self,
        client: Callable[[], CoreV1Api],
        patience: Patience,
        refresh: Callable[[], None] | None = None,
        hold: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._client, self._patience, self._refresh, self._hold = client, patience, refresh, hold
        self.limit = patience.limit
        self._unanswered: set[str] = set()

    def connect(self) -> None:
        """Make sure that there is a client, for a task that may have a pod: wait a minute for Airflow's connection."""
        self._patience.call("connect to the cluster", self._client, is_allowed=True)

    def create(self, pod: Json) -> Json:
        """Create a pod once, also if the answer of an earlier request was lost, and return it.

        A pod that has the name and the label `START_LABEL` already is returned. Another one that is being deleted is
        waited for, at most a minute after its grace period.

        Raises:
            PodNameTaken: another pod has the name.
            ApiException: the cluster rejected the pod, for instance because the quota is exhausted.
        """
        name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
        waited_s = 0.0
        while True:
            found, is_own = self._create_or_find(name, namespace, pod)
            if found is not None and is_own:
                self._unanswered.discard(_path(namespace, name))
                return found
            self._check_deletion(found, name, namespace, waited_s)
            self._patience.sleep(_NAME_INTERVAL_S)
            waited_s += _NAME_INTERVAL_S

    def read(self, name: str, namespace: str, uid: str | None = None) -> Json | None:
        """Read a pod that the task has created; None if it does not exist, or if its uid is another one.

        The API server may still create a pod whose creation it has not answered: that one is waited for a few seconds.
        """
        waits_s = _LATE_CREATION_S if _path(namespace, name) in self._unanswered else 0
        while (pod := self._call_if_exists("read", name, namespace, "GET", is_allowed=True)) is None and waits_s:
            self._patience.sleep(1)
            waits_s -= 1
        return pod if pod is None or uid in (None, pod["metadata"].get("uid")) else None

    def find(self, name: str, namespace: str, uid: str | None = None) -> tuple[Json | None, str]:
        """Read a pod as `read` does, by a list; return also the ``resourceVersion`` of the list, to watch from."""
        query = {"fieldSelector": f"metadata.name={name}"}
        found = self._call(f"read {_format(name, namespace)}", "GET", _path(namespace), query)
        pods = [item for item in found["items"] or [] if _read_uid(item) and uid in (None, _read_uid(item))]
        return next(iter(pods), None), read_text(read_object(found.get("metadata")).get("resourceVersion"))

    def list_by_labels(self, namespace: str, labels: str) -> list[Json]:
        """List the pods of a label selector, the newest first."""
        found = self._call(f"list pods in namespace {namespace}", "GET", _path(namespace), {"labelSelector": labels})
        pods = [item for item in found["items"] or [] if _read_uid(item)]
        return sorted(pods, key=lambda pod: str(pod["metadata"].get("creationTimestamp")), reverse=True)

    def delete(self, name: str, namespace: str, uid: str, grace_s: int | None = None) -> bool:
        """Delete a pod, unless another one has its name by now, and return whether it existed.

        `grace_s` are the seconds from SIGTERM to SIGKILL, by default the pod's own.
        """
        options: Json = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": _check_uid(uid)}}
        if grace_s is not None:
            options["gracePeriodSeconds"] = grace_s
        return self._call_if_exists("delete", name, namespace, "DELETE", body=options) is not None

    def end(self, name: str, namespace: str, uid: str) -> bool:
        """Mark a pod, and make the kubelet end it; pod and log stay, as ``DeadlineExceeded``.

        It is one request, so that a process that is killed between two leaves no marked pod running. Return whether the
        pod existed.
        """
        return self._patch("end", name, namespace, uid, {**_MARK, "spec": {"activeDeadlineSeconds": ENDING_DEADLINE_S}})

    def mark_checked(self, name: str, namespace: str, uid: str) -> bool:
        """Mark a pod so that no later process takes it up. Return whether the pod existed."""
        return self._patch("mark", name, namespace, uid, _MARK)

    def read_events(self, name: str, namespace: str, uid: str | None = None, *, is_patient: bool = True) -> list[Json]:
        """Read the events of a pod, which may be gone; the API server keeps them for an hour by default."""
        fields = {"involvedObject.kind": "Pod", "involvedObject.name": name, "involvedObject.uid": uid}
        selector = ",".join(f"{key}={value}" for key, value in fields.items() if value)
        what = f"read the events of {_format(name, namespace)}"
        path, query = f"/api/v1/namespaces/{namespace}/events", {"fieldSelector": selector}
        found = self._call(what, "GET", path, query, is_patient=is_patient)
        return [item for item in found["items"] or [] if isinstance(item, dict)]

    def read_need(self, need: Need, timeout_s: float) -> list[Json]:
        """Read what a diagnosis depends on: one object, or those of a kind; one attempt of at most `timeout_s`."""
        if need.name and not need.is_about_events:
            return [self._patience.measure(lambda: self._send("GET", need.path, timeout_s=timeout_s))]
        query = {"fieldSelector": need.event_fields} if need.is_about_events else {}
        found = self._patience.measure(lambda: self._send("GET", need.path, query, timeout_s=timeout_s))
        return [item for item in found["items"] or [] if isinstance(item, dict)]

    def _create_or_find(self, name: str, namespace: str, pod: Json) -> tuple[Json | None, bool]:
        """Create the pod, or find the one that has its name; return it, and whether this start has created it.

        The API server checks the quota before the name. So after a lost answer, also of an earlier call, the name is
        looked for first: else a quota that the pod itself exhausts would hide it.
        """
        path = _path(namespace, name)

        def attempt() -> tuple[Json | None, bool]:
            found = self._find(path) if path in self._unanswered else None
            if found is None:
                try:
                    return self._post(path, namespace, pod), True
                except ApiException as error:
                    if not is_existing(error):
                        raise
                found = self._find(path)
            return found, found is not None and _read_start(pod) in {_read_start(found)} - {None}

        return self._patience.call(f"create {_format(name, namespace)}", attempt)

    def _post(self, path: str, namespace: str, pod: Json) -> Json:
        """Create the pod at this path, and remember the path unless the API server answers.

        A refusal says nothing about an earlier request without an answer, which may still create the pod.
        """
        is_first = path not in self._unanswered
        self._unanswered.add(path)
        try:
            created = self._send("POST", _path(namespace), body=pod)
        except ApiException as error:
            if is_first and not is_transient(error) and not is_of_proxy(error):
                self._unanswered.discard(path)
            raise
        self._unanswered.discard(path)
        return created

    def _check_deletion(self, found: Json | None, name: str, namespace: str, waited_s: float) -> None:
        """Check that the pod that has the name is being deleted, and not for too long."""
        metadata: Json = found["metadata"] if found is not None else {"deletionTimestamp": ""}
        is_deleted = "deletionTimestamp" in metadata
        if not is_deleted or waited_s >= (metadata.get("deletionGracePeriodSeconds") or 0) + _NAME_WAIT_S:
            state = "is still being deleted" if is_deleted else "exists"
            fix = "Delete it, or let the task's pods have different names (name=, random_name_suffix=True)."
            raise PodNameTaken(
                f"The pod was not created: another pod {name} {state} in namespace {namespace}",
                "A retry waits for it again." if is_deleted else fix,
            )
        if not waited_s:
            self._patience.log.info("Pod %s is created when the former pod of this name is gone.", name)

    def _find(self, path: str) -> Json | None:
        try:
            return self._send("GET", path)
        except ApiException as error:
            if is_missing(error):
                return None
            raise

    def _patch(self, verb: str, name: str, namespace: str, uid: str, change: Json) -> bool:
        # The uid in the body is a precondition.
        body = {**change, "metadata": {**change.get("metadata", {}), "uid": _check_uid(uid)}}
        return self._call_if_exists(verb, name, namespace, "PATCH", body=body) is not None

    def _call_if_exists(self, verb: str, name: str, namespace: str, method: str, **arguments: Any) -> Json | None:
        try:
            return self._call(f"{verb} {_format(name, namespace)}", method, _path(namespace, name), **arguments)
        except ApiException as error:
            if is_missing(error) or has_other_uid(error):
                return None
            raise

    def _call(
        self,
        what: str,
        method: str,
        path: str,
        query: dict[str, str] | None = None,
        body: Json | None = None,
        *,
        is_allowed: bool = False,
        is_patient: bool = True,
    ) -> Json:
        def send() -> Json:
            return self._send(method, path, query, body, READ_TIMEOUT_S if is_patient else _IMPATIENT_TIMEOUT_S)

        return self._patience.call(what, send, is_allowed=is_allowed) if is_patient else self._patience.measure(send)

    def _send(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None = None,
        body: Json | None = None,
        timeout_s: float = READ_TIMEOUT_S,
    ) -> Json:
        hold = self._hold if method == "POST" else nullcontext  # it creates a pod

        def send() -> Json:
            client = self._client().api_client
            answer = send_request(client, method, path, query=query, body=body, read_timeout_s=timeout_s, hold=hold)
            return _check_pod(answer, method) if query is None else _check_list(answer)

        try:
            return send()
        except ApiException as error:
            if error.status != 401 or self._refresh is None:
                raise
        self._patience.log.warning("The Kubernetes API rejected the credentials (HTTP 401): they are read again.")
        self._refresh()
        return send()


def _path(namespace: str, name: str = "") -> str:
    return f"/api/v1/namespaces/{namespace}/pods" + (f"/{name}" if name else "")


def _format(name: str, namespace: str) -> str:
    return f"pod {name} in namespace {namespace}"


def _check_pod(answer: Json, method: str) -> Json:
    has_deleted = method == "DELETE" and (answer.get("kind"), answer.get("status")) == ("Status", "Success")
    if not has_deleted and not _read_uid(answer):
        raise ProtocolError("the answer is not a pod")
    return answer


def _check_list(answer: Json) -> Json:
    if not read_text(answer.get("kind")).endswith("List") or not isinstance(answer.get("items", ""), list | None):
        raise ProtocolError("the answer is not a list")
    return answer


def _check_uid(uid: str) -> str:
    """Check the uid of a pod that is to be changed: the API server answers an empty one as if it were another pod's."""
    if not uid:
        raise PodError("the pod was not changed: its uid is not known, and another pod may have its name")
    return uid


def _read_uid(pod: Any) -> str:
    return read_text(read_object(read_object(pod).get("metadata")).get("uid"))


def _read_start(pod: Json) -> str | None:
    """Return the start that created the pod; None if the pod does not say it."""
    return (pod["metadata"].get("labels") or {}).get(START_LABEL)
