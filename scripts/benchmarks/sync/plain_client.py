"""The floor: a plain client that creates a pod, watches it, reads its log and deletes it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

from kubernetes import client

from benchmarks.sync.marks import Json, list_pod_marks
from common.errors import ScriptError

_TIMEOUT_S = 60
_LABELS = ("dag_id", "task_id", "run_id", "try_number", "map_index", "kpo-platform/start", "kubernetes_pod_operator")
"""The labels by which the operators, or this benchmark, find the pod of a task."""


def copy_pod(pod: Json, name: str) -> Json:
    """Return a pod to create that equals an existing one, except that it belongs to no task."""
    metadata = pod["metadata"]
    labels = {key: text for key, text in metadata.get("labels", {}).items() if key not in _LABELS}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": metadata["namespace"],
            "labels": labels,
            "annotations": metadata.get("annotations", {}),
        },
        "spec": {key: part for key, part in pod["spec"].items() if key != "nodeName"},
    }


def run_plain_pod(api: client.CoreV1Api, pod: Json) -> float:
    """Create a pod, watch it until its program has ended, read its log and delete it; return the seconds.

    Args:
        api: a client of the API server; its connection should be warm.
        pod: as `copy_pod` returns it.

    Raises:
        ScriptError: the program has not ended within a minute.
    """
    name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
    start = time.monotonic()
    created = json.loads(api.create_namespaced_pod(namespace, pod, _preload_content=False).data)
    try:
        _wait_for_end(api, created)
        log = api.read_namespaced_pod_log(name, namespace, container="base", _preload_content=False).data
    finally:
        api.delete_namespaced_pod(name, namespace, _preload_content=False)
    seconds = time.monotonic() - start
    if not log:
        raise ScriptError(f"Pod {name} of the plain client has an empty log.")
    return seconds


def _wait_for_end(api: client.CoreV1Api, pod: Json) -> None:
    response = api.list_namespaced_pod(
        pod["metadata"]["namespace"],
        field_selector=f"metadata.name={pod['metadata']['name']}",
        resource_version=pod["metadata"]["resourceVersion"],
        watch=True,
        timeout_seconds=_TIMEOUT_S,
        _preload_content=False,
        _request_timeout=(_TIMEOUT_S, _TIMEOUT_S),
    )
    status: Any = None
    try:
        for event in _read_events(response):
            status = event["object"].get("status")
            if "ended" in list_pod_marks(event["object"]):
                return
    finally:
        response.close()
    raise ScriptError(f"Waited {_TIMEOUT_S} s for pod {pod['metadata']['name']} to end; last seen: {status}")


def _read_events(response: Any) -> Iterator[Json]:
    rest = b""
    for chunk in response.stream(decode_content=False):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (json.loads(line) for line in lines if line)
