"""Which secrets a pod needs before it can start, out of its specification."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from kpo_platform.kube import Object


@dataclass(frozen=True)
class Need:
    """A secret that has to be there, and a key in it.

    Attributes:
        secret: the secret's name.
        key: the key; empty: the secret as a whole, whatever is in it.
    """

    secret: str
    key: str = ""


@dataclass(frozen=True)
class Use:
    """What is needed of a secret.

    Attributes:
        keys: the keys that have to be in it.
        users: kind and name of what makes the pods that need it.
    """

    keys: set[str] = field(default_factory=set)
    users: set[str] = field(default_factory=set)


def pod_of(found: Object) -> Object:
    """The specification of the pods that an object makes."""
    spec = found["spec"]["jobTemplate"]["spec"] if found["kind"] == "CronJob" else found["spec"]
    pod: Object = spec["template"]["spec"]
    return pod


def needs(pod: Object) -> frozenset[Need]:
    """What a pod cannot start without; what it marks as optional it can.

    Args:
        pod: its specification.
    """
    return frozenset((*_of_environment(pod), *_of_volumes(pod)))


def uses(makers: Iterable[Object]) -> dict[str, Use]:
    """Every secret that pods cannot start without.

    Args:
        makers: what makes the pods.

    Returns:
        What is needed of each, by its name, in order.
    """
    found: dict[str, Use] = {}
    for maker in makers:
        for need in needs(pod_of(maker)):
            use = found.setdefault(need.secret, Use())
            use.keys.update({need.key} - {""})
            use.users.add(f"{maker['kind']} {maker['metadata']['name']}")
    return dict(sorted(found.items()))


def _of_environment(pod: Object) -> Iterator[Need]:
    for container in (*pod.get("initContainers", ()), *pod.get("containers", ())):
        for variable in container.get("env", ()):
            reference = variable.get("valueFrom", {}).get("secretKeyRef")
            if reference and not reference.get("optional"):
                yield Need(reference["name"], reference["key"])
        for source in container.get("envFrom", ()):
            reference = source.get("secretRef")
            if reference and not reference.get("optional"):
                yield Need(reference["name"])


def _of_volumes(pod: Object) -> Iterator[Need]:
    for volume in pod.get("volumes", ()):
        if source := volume.get("secret"):
            yield from _of_source(source, source["secretName"])
        for projected in volume.get("projected", {}).get("sources") or ():
            if source := projected.get("secret"):
                yield from _of_source(source, source["name"])


def _of_source(source: Object, name: str) -> Iterator[Need]:
    if source.get("optional"):
        return
    yield Need(name)
    yield from (Need(name, item["key"]) for item in source.get("items") or ())
