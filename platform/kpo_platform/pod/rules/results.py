"""Rule: the result of a task can reach Airflow."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from kpo_platform.contract import Team
from kpo_platform.finding import Refusal
from kpo_platform.pod.compose import BASE
from kpo_platform.pod.merge import Json
from kpo_platform.pod.message_result import FIELDS, RESULT_FILE, find_limit
from kpo_platform.pod.xcom import ResultMode

_LEAST_LIMIT = 1024  # of a pod with 12 containers
_READ_ONLY_KINDS = ("configMap", "secret", "projected", "downwardAPI", "image")
"""Volumes that Kubernetes mounts read-only whatever the mount says."""


def check_result_right(mode: str, team_name: str, team: Team) -> Iterator[Refusal]:
    """Refuse a result in an XCom sidecar for a team in whose pods Airflow may run no command."""
    if mode == "sidecar" and not team.rbac.exec:
        yield Refusal(
            "result",
            f"The task's result is read with a command in the XCom sidecar, but team {team_name!r} has rbac.exec false",
            'Use TeamPodOperator with xcom="message" and a supported provider, and without engine="stock", or ask the '
            "platform team to change the team's values.",
        )


def check_result(pod: Json, mode: ResultMode, *, rendered: bool = True) -> Iterator[Refusal]:
    """Check the fields that make a message the result; before Jinja rendering a field may be missing."""
    base = next(each for each in pod["spec"]["containers"] if each.get("name") == BASE)
    if mode != "message":
        if base.get("terminationMessagePath") == RESULT_FILE:
            cause = (
                f'terminationMessagePath of container {BASE!r} is {RESULT_FILE!r}, which is reserved for xcom="message"'
            )
            yield Refusal("result", cause, "Leave it out.")
        return
    for field, required in FIELDS.items():
        value = base.get(field)
        if value != required and (rendered or value is not None):
            yield Refusal(
                "result",
                f"{field} of container {BASE!r} is {value!r}, but the task's result requires {required!r}",
                'Leave it out, or set xcom="sidecar".',
            )
    yield from _check_mounts(base, pod["spec"].get("volumes") or [])
    if (limit := find_limit(pod)) < _LEAST_LIMIT:
        yield Refusal(
            "result",
            f"The pod has so many containers that Kubernetes reports at most {limit - 1} bytes of the task's result, "
            f"but {_LEAST_LIMIT - 1} are required",
            'Use fewer containers, or set xcom="sidecar".',
        )


def _check_mounts(base: Json, volumes: list[Json]) -> Iterator[Refusal]:
    """Refuse a volume that hides the file, or in which the container runtime cannot create it as a mount point."""
    for mount in base.get("volumeMounts") or []:
        path = mount.get("mountPath") or ""
        folder = posixpath.normpath("/" + str(path).lstrip("/"))
        is_parent = path and RESULT_FILE.startswith(folder.rstrip("/") + "/")
        volume = next((each for each in volumes if each.get("name") == mount.get("name") is not None), {})
        cause = ""
        if folder in (RESULT_FILE, posixpath.dirname(RESULT_FILE)):
            cause = f"A volume is mounted at {path!r}, where the task writes its result"
        elif is_parent and _is_read_only(mount, volume):
            cause = f"A read-only volume is mounted at {path!r}, where the file of the task's result cannot be created"
        if cause:
            yield Refusal("result", cause, "Mount the volume at another path.")


def _is_read_only(mount: Json, volume: Json) -> bool:
    """Tell whether a volume is read-only by its mount, its kind, or its source, such as a claim."""
    is_source_read_only = any(isinstance(each, dict) and each.get("readOnly") is True for each in volume.values())
    is_of_kind = any(volume.get(kind) is not None for kind in _READ_ONLY_KINDS)
    return mount.get("readOnly") is True or is_source_read_only or is_of_kind
