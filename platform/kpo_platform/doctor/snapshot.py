"""What there is of a release, read once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kpo_platform.contract import Contract
from kpo_platform.doctor.secret_refs import Use, uses
from kpo_platform.errors import Forbidden, NotFound
from kpo_platform.kube import CRON_JOB, DEPLOYMENT, JOB, POD, SECRET, STATEFUL_SET, Kube, Object, Resource

_COMPONENTS = (DEPLOYMENT, STATEFUL_SET)


@dataclass(frozen=True)
class Sight:
    """What there is of a release.

    Attributes:
        namespace: of the release.
        components: its Deployments and StatefulSets.
        jobs: its Jobs, those of its CronJobs among them.
        pods: all its pods.
        uses: every secret that pods of these cannot start without, by its name.
        secrets: for each of those, the keys that hold something; None: it is not there. Values are not
            kept.
        hidden: names of the secrets that the caller may not read.
    """

    namespace: str
    components: tuple[Object, ...]
    jobs: tuple[Object, ...]
    pods: tuple[Object, ...]
    uses: Mapping[str, Use]
    secrets: Mapping[str, frozenset[str] | None]
    hidden: frozenset[str]

    def named(self, found: Object) -> str:
        """An object as messages name it."""
        return f"{found['kind']} {self.namespace}/{found['metadata']['name']}"


def look(kube: Kube, contract: Contract) -> Sight:
    """Read what there is of a release.

    Args:
        kube: the cluster.
        contract: says where the release is.

    Raises:
        Forbidden: the caller may not list the release's objects.
        ClusterError: the cluster did not answer.
    """
    namespace, labels = contract.release.namespace, f"app.kubernetes.io/instance={contract.release.name}"

    def found(*resources: Resource) -> tuple[Object, ...]:
        # The items of a list come without their kind.
        return tuple(
            {"kind": each.kind, **item} for each in resources for item in kube.list_objects(each, namespace, labels)
        )

    components, jobs, cron_jobs = found(*_COMPONENTS), found(JOB), found(CRON_JOB)
    needed = uses((*components, *jobs, *cron_jobs))
    secrets, hidden = _secrets(kube, namespace, needed)
    return Sight(namespace, components, jobs, found(POD), needed, secrets, hidden)


def _secrets(
    kube: Kube, namespace: str, names: Iterable[str]
) -> tuple[dict[str, frozenset[str] | None], frozenset[str]]:
    seen: dict[str, frozenset[str] | None] = {}
    hidden = set()
    for name in names:
        try:
            found = kube.get(SECRET, name, namespace)
        except NotFound:
            seen[name] = None
        except Forbidden:
            hidden.add(name)
        else:
            seen[name] = frozenset(key for key, value in (found.get("data") or {}).items() if value)
    return seen, frozenset(hidden)
