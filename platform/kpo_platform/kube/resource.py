"""The kinds of objects that the client uses, and their API paths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

Object = dict[str, Any]
"""An object of the API as JSON."""


@dataclass(frozen=True)
class Resource:
    """A kind of object and its API path."""

    kind: str
    plural: str
    group: str = ""

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """Return the URL path of a collection, an object or a subresource."""
        root = f"/apis/{self.group}/v1" if self.group else "/api/v1"
        scope = f"namespaces/{quote(namespace, safe='')}" if namespace else ""
        parts = [root, scope, self.plural, quote(name, safe=""), subresource]
        return "/".join(part for part in parts if part)

    def call(self, verbs: str, namespace: str = "", name: str = "") -> Call:
        """Return a call of this resource; several verbs are joined by ``or`` or ``and``."""
        return Call(verbs, self, namespace, name)


@dataclass(frozen=True)
class Call:
    """A call of the API, for messages: ``get secrets/regcred in namespace team-a``.

    Attributes:
        verbs: the RBAC verbs, joined by ``or`` or ``and``.
        resource: the kind of object.
        namespace: the namespace; empty for the whole cluster.
        name: the object's name; empty for all.
    """

    verbs: str
    resource: Resource
    namespace: str = ""
    name: str = ""

    def __str__(self) -> str:
        scope = f"in namespace {self.namespace}" if self.namespace else "in the cluster"
        return f"{self.verbs} {self.resource.plural}{f'/{self.name}' if self.name else ''} {scope}"


CONFIG_MAP = Resource("ConfigMap", "configmaps")
CRON_JOB = Resource("CronJob", "cronjobs", group="batch")
DEPLOYMENT = Resource("Deployment", "deployments", group="apps")
JOB = Resource("Job", "jobs", group="batch")
LEASE = Resource("Lease", "leases", group="coordination.k8s.io")
NAMESPACE = Resource("Namespace", "namespaces")
POD = Resource("Pod", "pods")
PORT_FORWARD = Resource("Pod", "pods/portforward")  # a websocket needs the verbs get and create
SECRET = Resource("Secret", "secrets")
SELF_REVIEW = Resource("SelfSubjectReview", "selfsubjectreviews", group="authentication.k8s.io")
SERVICE = Resource("Service", "services")
SERVICE_ACCOUNT = Resource("ServiceAccount", "serviceaccounts")
STATEFUL_SET = Resource("StatefulSet", "statefulsets", group="apps")
VOLUME_CLAIM = Resource("PersistentVolumeClaim", "persistentvolumeclaims")
STORAGE_CLASS = Resource("StorageClass", "storageclasses", group="storage.k8s.io")
EVENT = Resource("Event", "events")
POD_LOG = Resource("Pod", "pods/log")
