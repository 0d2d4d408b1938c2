"""Read the objects of a release once, for all checks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from kpo_platform.contract import Contract
from kpo_platform.doctor.pod_status import group_by_pod
from kpo_platform.doctor.secret_refs import SecretUse, collect_secret_uses
from kpo_platform.errors import Forbidden, NotFound
from kpo_platform.finding import ObjectRef
from kpo_platform.kube import CRON_JOB, DEPLOYMENT, EVENT, JOB, POD, SECRET, STATEFUL_SET, Kube, Object, Resource
from kpo_platform.kube.pages import list_in_pages


@dataclass(frozen=True)
class ReleaseSnapshot:
    """The objects of a release, as the API server returned them.

    Attributes:
        namespace: the release's namespace.
        workloads: its Deployments and StatefulSets.
        jobs: its Jobs, including those of its CronJobs.
        pods: its pods.
        events: by a pod's uid, its events.
        secret_uses: by name, every Secret that a pod needs to start.
        secret_keys: by name, the non-empty keys of those Secrets; None if the Secret does not exist. Values are not
            kept.
        forbidden_secrets: names of the Secrets that the caller may not read.
    """

    namespace: str
    workloads: tuple[Object, ...]
    jobs: tuple[Object, ...]
    pods: tuple[Object, ...]
    events: Mapping[str, Sequence[Object]]
    secret_uses: Mapping[str, SecretUse]
    secret_keys: Mapping[str, frozenset[str] | None]
    forbidden_secrets: frozenset[str]

    def identify(self, body: Object) -> ObjectRef:
        """Return an object's kind, namespace and name."""
        return ObjectRef(body["kind"], body["metadata"]["name"], self.namespace)


def read_release(kube: Kube, contract: Contract) -> ReleaseSnapshot:
    """Read the objects of a release.

    Args:
        kube: the cluster.
        contract: names the release and its namespace.

    Raises:
        Forbidden: the caller may not list the release's objects.
        ClusterError: the cluster did not answer.
    """
    namespace, labels = contract.release.namespace, f"app.kubernetes.io/instance={contract.release.name}"

    def read(*resources: Resource) -> tuple[Object, ...]:
        # The items of a list come without their kind.
        lists = ((resource.kind, kube.list_objects(resource, namespace, labels)) for resource in resources)
        return tuple({"kind": kind, **item} for kind, items in lists for item in items)

    workloads, jobs, cron_jobs = read(DEPLOYMENT, STATEFUL_SET), read(JOB), read(CRON_JOB)
    secret_uses = collect_secret_uses((*workloads, *jobs, *cron_jobs))
    secret_keys, forbidden = _read_secret_keys(kube, namespace, secret_uses)
    events = group_by_pod(list_in_pages(kube, EVENT, namespace, fields="involvedObject.kind=Pod"))
    return ReleaseSnapshot(namespace, workloads, jobs, read(POD), events, secret_uses, secret_keys, forbidden)


def _read_secret_keys(
    kube: Kube, namespace: str, names: Iterable[str]
) -> tuple[dict[str, frozenset[str] | None], frozenset[str]]:
    secret_keys: dict[str, frozenset[str] | None] = {}
    forbidden = set()
    for name in names:
        try:
            secret = kube.get(SECRET, name, namespace)
        except NotFound:
            secret_keys[name] = None
        except Forbidden:
            forbidden.add(name)
        else:
            secret_keys[name] = frozenset(key for key, value in (secret.get("data") or {}).items() if value)
    return secret_keys, frozenset(forbidden)
