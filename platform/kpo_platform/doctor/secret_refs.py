"""Find the Secrets that a pod needs to start, from its specification."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from kpo_platform.kube import Object


@dataclass(frozen=True)
class SecretRef:
    """A reference of a pod to a Secret, or to one of its keys.

    Attributes:
        secret: the Secret's name.
        key: the key; empty if no key is required.
    """

    secret: str
    key: str = ""


@dataclass(frozen=True)
class SecretUse:
    """The references of all pods to one Secret.

    Attributes:
        keys: the keys that the Secret must have.
        users: kind and name of the objects that create the pods.
    """

    keys: set[str] = field(default_factory=set)
    users: set[str] = field(default_factory=set)


def get_pod_spec(workload: Object) -> Object:
    """Return the specification of the pods that an object creates."""
    spec = workload["spec"]["jobTemplate"]["spec"] if workload["kind"] == "CronJob" else workload["spec"]
    pod_spec: Object = spec["template"]["spec"]
    return pod_spec


def find_secret_refs(pod_spec: Object) -> frozenset[SecretRef]:
    """Find the Secrets and keys that a pod needs to start; skip optional references.

    Args:
        pod_spec: the pod's specification.
    """
    return frozenset((*_find_env_refs(pod_spec), *_find_volume_refs(pod_spec)))


def collect_secret_uses(workloads: Iterable[Object]) -> dict[str, SecretUse]:
    """Collect the Secrets that pods need to start.

    Args:
        workloads: the objects that create the pods.

    Returns:
        The uses by the Secret's name, sorted.
    """
    uses: dict[str, SecretUse] = {}
    for workload in workloads:
        for ref in find_secret_refs(get_pod_spec(workload)):
            use = uses.setdefault(ref.secret, SecretUse())
            use.keys.update({ref.key} - {""})
            use.users.add(f"{workload['kind']} {workload['metadata']['name']}")
    return dict(sorted(uses.items()))


def _find_env_refs(pod_spec: Object) -> Iterator[SecretRef]:
    for container in (*pod_spec.get("initContainers", ()), *pod_spec.get("containers", ())):
        for variable in container.get("env", ()):
            reference = variable.get("valueFrom", {}).get("secretKeyRef")
            if reference and not reference.get("optional"):
                yield SecretRef(reference["name"], reference["key"])
        for source in container.get("envFrom", ()):
            reference = source.get("secretRef")
            if reference and not reference.get("optional"):
                yield SecretRef(reference["name"])


def _find_volume_refs(pod_spec: Object) -> Iterator[SecretRef]:
    for volume in pod_spec.get("volumes", ()):
        if source := volume.get("secret"):
            yield from _find_source_refs(source, source["secretName"])
        for projected in volume.get("projected", {}).get("sources") or ():
            if source := projected.get("secret"):
                yield from _find_source_refs(source, source["name"])


def _find_source_refs(source: Object, name: str) -> Iterator[SecretRef]:
    if source.get("optional"):
        return
    yield SecretRef(name)
    yield from (SecretRef(name, item["key"]) for item in source.get("items") or ())
