"""Rule: a pod has the volumes that it mounts, and the platform's containers have their required values."""

from __future__ import annotations

from collections.abc import Iterator

from kpo_platform.finding import Refusal
from kpo_platform.pod.containers import iterate_containers
from kpo_platform.pod.merge import Json

_REQUIRED = {"git-sync": ("GITSYNC_REPO", "--repo")}
"""Containers of the platform that need a variable or a flag from the task."""


def check_references(pod: Json, platform_containers: set[tuple[str, str]]) -> Iterator[Refusal]:
    """Refuse mounts of missing volumes, and the platform's containers without a required value.

    Args:
        pod: the composed v1 Pod; None stands for a value that is not known yet.
        platform_containers: names and images of the platform's containers.
    """
    volumes = [volume.get("name") for volume in pod["spec"].get("volumes") or []]
    for container in iterate_containers(pod):
        if None not in volumes:
            yield from _check_mounts(container, volumes)
        if (container.get("name"), container.get("image")) in platform_containers:
            yield from _check_required_values(container)


def _check_mounts(container: Json, volumes: list[str]) -> Iterator[Refusal]:
    for mount in container.get("volumeMounts") or []:
        name = mount.get("name")
        if name is not None and name not in volumes:
            known = ", ".join(sorted(volumes))
            yield Refusal(
                "missing",
                f"Container {container.get('name')!r} mounts the volume {name!r}, which the pod does not have",
                f"Add it to volumes{f', or mount one of {known}' if known else ''}.",
                "volume_mounts",
            )


def _check_required_values(container: Json) -> Iterator[Refusal]:
    name = container["name"]
    if name not in _REQUIRED or container.get("envFrom"):
        return
    variable, flag = _REQUIRED[name]
    has_variable = any(env.get("name") == variable for env in container.get("env") or [])
    flags = [*(container.get("command") or []), *(container.get("args") or [])]
    if not has_variable and not any(str(argument).startswith(flag) for argument in flags):
        yield Refusal(
            "missing",
            f"The container {name!r} needs the variable {variable}, which the task does not set",
            f"Set it, for example with pod_override={{'spec': {{'initContainers': [{{'name': {name!r}, 'env': "
            f"[{{'name': {variable!r}, 'value': '…'}}]}}]}}}}.",
        )
