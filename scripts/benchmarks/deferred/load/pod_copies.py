"""Copies of the pod of a task, each for another map index of another run, on the node that kwok plays."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from benchmarks.deferred.load.kwok_config import END_AFTER, NODE

Json = dict[str, Any]

START_LABEL, TASK_ANNOTATION = "kpo-platform/start", "kpo-platform/task"
_OWN = ("annotations", "labels", "namespace")


@dataclass(frozen=True)
class PodCopy:
    """A copy to create.

    Attributes:
        run: the id of its run, a valid label.
        index: its map index.
        name: the pod's name.
        start: its value of `START_LABEL`, by which a trigger knows it.
        end_after: its end, in seconds after the time from which pods end.
    """

    run: str
    index: int
    name: str
    start: str
    end_after: float


def plan_copies(run: str, count: int, spread_s: float) -> list[PodCopy]:
    """Plan the copies of a run, whose ends are spread evenly over a time."""
    return [
        PodCopy(run, index, f"{run}-{index}", _hash_start(run, index), round((index + 1) * spread_s / count, 3))
        for index in range(count)
    ]


def build_pod(model: Json, copy: PodCopy) -> Json:
    """Build the pod of a copy from that of the model."""
    metadata = {key: model["metadata"][key] for key in _OWN if key in model["metadata"]}
    labels = dict(metadata.get("labels", {})) | {"run_id": copy.run, "map_index": str(copy.index)}
    annotations = dict(metadata.get("annotations", {})) | {END_AFTER: str(copy.end_after)}
    if START_LABEL in labels:
        labels[START_LABEL] = copy.start
    if TASK_ANNOTATION in annotations:
        task = {**json.loads(annotations[TASK_ANNOTATION]), "run_id": copy.run, "map_index": copy.index}
        annotations[TASK_ANNOTATION] = json.dumps(task)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**metadata, "name": copy.name, "labels": labels, "annotations": annotations},
        "spec": {**model["spec"], "nodeName": NODE},
    }


def _hash_start(run: str, index: int) -> str:
    return hashlib.sha256(f"{run}/{index}".encode()).hexdigest()[:32]
