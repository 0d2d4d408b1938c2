"""Rule: a pod's images name a version and are on the team's list."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

from kpo_platform.contract import Contract, Team
from kpo_platform.finding import Refusal
from kpo_platform.pod.containers import iterate_containers
from kpo_platform.pod.images import add_registry_prefix, is_pinned
from kpo_platform.pod.merge import Json
from kpo_platform.pod.xcom import XCOM_CONTAINER

PlatformContainers = set[tuple[str, str]]
"""Name and image of containers that the platform, not a DAG author, adds to a pod."""


def list_platform_containers(contract: Contract, team: Team) -> PlatformContainers:
    """List the containers of the pod templates and sidecars, and the XCom sidecar, as the team's pods have them."""
    pods = [*contract.pod_templates.values(), *contract.sidecars.values()]
    containers = [container for pod in pods for container in iterate_containers(pod) if container.get("image")]
    prefix = team.images.registry_prefix
    named = {(container["name"], add_registry_prefix(container["image"], prefix)) for container in containers}
    return {(XCOM_CONTAINER, contract.xcom_sidecar.image), *named}


def check_images(pod: Json, team_name: str, team: Team, exempt: PlatformContainers) -> Iterator[Refusal]:
    """Refuse images that name no version or are not on the team's list.

    Args:
        pod: the composed v1 Pod; None stands for a value that is not known yet.
        team_name: the team's name.
        team: the team of this name.
        exempt: containers that are not checked.
    """
    for container in iterate_containers(pod):
        image = container.get("image")
        if image is not None and (container.get("name"), image) not in exempt:
            yield from _check_image(image, container.get("name"), team_name, team)


def _check_image(image: str, container_name: str | None, team_name: str, team: Team) -> Iterator[Refusal]:
    pin, allow = team.images.pin, team.images.allow
    subject = f"The image {image!r} of container {container_name!r}"
    if not is_pinned(image, pin):
        version = "a digest, such as name@sha256:…" if pin == "digest" else "a tag other than latest, such as name:1.2"
        evidence = f"{subject} has no fixed version, which team {team_name!r} requires"
        yield Refusal("image-pin", evidence, f"Use {version}.")
    if allow and not any(fnmatchcase(image, pattern) for pattern in allow):
        yield Refusal(
            "image-allow",
            f"{subject} is not allowed for team {team_name!r}, which allows {', '.join(allow)}",
            "Use an allowed image, or ask the platform team to add this one to images.allow.",
        )
