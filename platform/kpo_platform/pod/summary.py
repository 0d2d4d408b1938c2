"""The part of a pod that tells its state: about 1 KB of JSON, where a whole pod has 10."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kpo_platform.pod.identity import START_LABEL
from kpo_platform.pod.json_fields import read_object, read_objects, read_text
from kpo_platform.pod.merge import Json
from kpo_platform.pod.task_mark import LONGEST_MARKS

_METADATA = ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds")
_SPEC = ("nodeName", "activeDeadlineSeconds")
_CONTAINERS = ("containers", "initContainers", "ephemeralContainers")
_CONTAINER = ("name", "restartPolicy", "terminationMessagePath")
_STATUS = ("phase", "reason", "message", "startTime")
_CONDITION = ("type", "status", "reason", "message", "lastTransitionTime")
_CONTAINER_STATUSES = ("containerStatuses", "initContainerStatuses")


def summarize_pod(pod: Any, labels: Iterable[str] = (START_LABEL,)) -> Json:
    """Keep of a v1 Pod what `parse_pod_state` reads, the labels with these names, and the marks of its task.

    The summary is a v1 Pod too. Malformed fields are left as they are, or left out; nothing raises.
    """
    pod = read_object(pod)
    metadata, spec, status = (read_object(pod.get(key)) for key in ("metadata", "spec", "status"))
    kept_labels = _keep(read_object(metadata.get("labels")), labels)
    marks = _cut_marks(read_object(metadata.get("annotations")))
    containers = {key: [_summarize_container(each) for each in read_objects(spec.get(key))] for key in _CONTAINERS}
    statuses = {key: [_summarize_status(each) for each in read_objects(status.get(key))] for key in _CONTAINER_STATUSES}
    conditions = [_keep(condition, _CONDITION) for condition in read_objects(status.get("conditions"))]
    return {
        "metadata": {**_keep(metadata, _METADATA), **_filled(labels=kept_labels, annotations=marks)},
        "spec": {**_keep(spec, _SPEC), **_filled(**containers)},
        "status": {**_keep(status, _STATUS), **_filled(conditions=conditions, **statuses)},
    }


def _cut_marks(annotations: Json) -> Json:
    """Keep the marks, and of each not more than a task can need: an annotation may have 256 KiB."""
    return {name: annotations[name][:longest] for name, longest in LONGEST_MARKS.items() if _is_text(annotations, name)}


def _is_text(fields: Json, name: str) -> bool:
    return isinstance(fields.get(name), str)


def _summarize_container(container: Json) -> Json:
    limits = read_object(read_object(container.get("resources")).get("limits"))
    memory = _filled(limits=_keep(limits, ["memory"]))
    return {**_keep(container, _CONTAINER), **_filled(resources=memory)}


def _summarize_status(status: Json) -> Json:
    # The client library's model of a pod requires the other fields.
    required = {"image": "", "imageID": "", "ready": status.get("ready") is True, "restartCount": 0}
    state = {key: _summarize_state(value) for key, value in read_object(status.get("state")).items()}
    return {"name": read_text(status.get("name")), "state": state, **required}


def _summarize_state(state: Any) -> Any:
    return {key: value for key, value in state.items() if key != "containerID"} if isinstance(state, dict) else state


def _keep(fields: Json, names: Iterable[str]) -> Json:
    return {name: fields[name] for name in names if fields.get(name) is not None}


def _filled(**fields: Any) -> Json:
    return {name: value for name, value in fields.items() if value}
