"""Objects of a cluster that a cause depends on."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from kpo_platform.pod.merge import Json

KINDS: dict[str, tuple[str, str]] = {
    "ConfigMap": ("configmaps", ""),
    "Event": ("events", ""),
    "LimitRange": ("limitranges", ""),
    "Namespace": ("namespaces", ""),
    "Node": ("nodes", ""),
    "PersistentVolume": ("persistentvolumes", ""),
    "PersistentVolumeClaim": ("persistentvolumeclaims", ""),
    "Pod": ("pods", ""),
    "PriorityClass": ("priorityclasses", "scheduling.k8s.io"),
    "ResourceQuota": ("resourcequotas", ""),
    "RuntimeClass": ("runtimeclasses", "node.k8s.io"),
    "Secret": ("secrets", ""),
    "ServiceAccount": ("serviceaccounts", ""),
    "StorageClass": ("storageclasses", "storage.k8s.io"),
}
"""The kinds that a cause may depend on: plural and API group."""


@dataclass(frozen=True)
class Need:
    """An object of the cluster that a cause depends on; without a name, all objects of the kind.

    Attributes:
        kind: such as ``Secret``; of a Secret only its existence is asked for, never its data.
        namespace: empty for a kind without namespaces, such as ``Node``.
    """

    kind: str
    namespace: str = ""
    name: str = ""

    def __str__(self) -> str:
        place = f" in {self.namespace}" if self.namespace else ""
        return f"{self.kind} {self.name}{place}" if self.name else f"{self.kind}s{place}"

    @property
    def is_about_events(self) -> bool:
        """Whether the events of an object are asked for; the name is its kind and name, such as ``Pod/report``."""
        return self.kind == "Event"

    @property
    def path(self) -> str:
        """The path of the API server at which the object, or the list, is read."""
        plural, group = KINDS[self.kind]
        base = f"/apis/{group}/v1" if group else "/api/v1"
        place = f"/namespaces/{quote(self.namespace, safe='')}" if self.namespace else ""
        name = f"/{quote(self.name, safe='')}" if self.name and not self.is_about_events else ""
        return f"{base}{place}/{plural}{name}"

    @property
    def event_fields(self) -> str:
        """The field selector of the events of an object."""
        kind, _, name = self.name.partition("/")
        return f"involvedObject.kind={kind},involvedObject.name={name}"


@dataclass(frozen=True)
class Answer:
    """What the cluster has answered to a `Need`.

    Attributes:
        objects: the objects; empty if there is none.
        refusal: why they could not be read; empty if they could.
    """

    objects: tuple[Json, ...] = ()
    refusal: str = ""
