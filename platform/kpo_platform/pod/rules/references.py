"""What a pod refers to and does not have."""

from __future__ import annotations

from collections.abc import Iterator

from kpo_platform.finding import Refusal
from kpo_platform.pod.containers import iterate_containers
from kpo_platform.pod.merge import Json

_NEEDED = {"git-sync": ("GITSYNC_REPO", "--repo")}
"""Containers of the platform's own templates and sidecars that do nothing until a task sets a variable or a flag."""


def check_references(pod: Json, own: set[tuple[str, str]]) -> Iterator[Refusal]:
    """Refuse mounts of volumes that are not there, and the platform's containers without what a task must say to them.

    Args:
        pod: composed; None stands for a value that is not known yet.
        own: names and images of the platform's containers.
    """
    volumes = [volume.get("name") for volume in pod["spec"].get("volumes") or []]
    for container in iterate_containers(pod):
        if None not in volumes:
            yield from _unmounted(container, volumes)
        if (container.get("name"), container.get("image")) in own:
            yield from _unsaid(container)


def _unmounted(container: Json, volumes: list[str]) -> Iterator[Refusal]:
    for mount in container.get("volumeMounts") or []:
        name = mount.get("name")
        if name is not None and name not in volumes:
            known = ", ".join(sorted(volumes))
            yield Refusal(
                "missing",
                f"Container {container.get('name')!r} mounts the volume {name!r}, which the pod does not have",
                f"add it to volumes{f', or mount one of {known}' if known else ''}.",
                "volume_mounts",
            )


def _unsaid(container: Json) -> Iterator[Refusal]:
    name = container["name"]
    if name not in _NEEDED or container.get("envFrom"):
        return
    variable, flag = _NEEDED[name]
    said = any(one.get("name") == variable for one in container.get("env") or [])
    flags = [*(container.get("command") or []), *(container.get("args") or [])]
    if not said and not any(str(each).startswith(flag) for each in flags):
        yield Refusal(
            "missing",
            f"The container {name!r} needs the variable {variable}, which the task does not set",
            f"merge it in by name, as in pod_override={{'spec': {{'initContainers': [{{'name': {name!r}, 'env': "
            f"[{{'name': {variable!r}, 'value': '…'}}]}}]}}}}.",
        )
