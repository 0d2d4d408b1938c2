"""Are the release's components ready, as many as are asked for?"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from kpo_platform.doctor.pod_status import trouble
from kpo_platform.doctor.result import Judgement, wrong
from kpo_platform.doctor.snapshot import Sight
from kpo_platform.kube import Object


def components(sight: Sight) -> Iterator[Judgement]:
    """Judge every Deployment and StatefulSet of the release, and whether two of them are the same component.

    Some settings of the chart make a component the other kind (``logs.persistence``). When an upgrade to those fails
    and the next one goes back, Helm compares with the last one that succeeded, so what the failed one made stays and
    works: a second scheduler, with the settings that were given up.
    """
    ordered = sorted(sight.components, key=lambda found: (str(found["metadata"]["name"]), str(found["kind"])))
    for each in ordered:
        yield _component(sight, each)
    for _, found in groupby(ordered, key=_component_name):
        yield from _twins(sight, list(found))


def _twins(sight: Sight, found: list[Object]) -> Iterator[Judgement]:
    if len(found) < 2:
        return
    first, *others = found
    seen = f"works beside {' and '.join(sight.named(other) for other in others)}, as an upgrade that failed leaves it"
    kubectl, release = f"kubectl -n {sight.namespace}", first["metadata"]["labels"]["app.kubernetes.io/instance"]
    manifest = f"helm -n {sight.namespace} get manifest {release}"
    names = " or ".join(f"{kubectl} delete {each['kind'].lower()} {each['metadata']['name']}" for each in found)
    yield wrong("twin", sight.named(first), seen, f"delete the one that {manifest} does not list: {names}")


def _component_name(found: Object) -> str:
    return str(found["metadata"]["labels"]["app.kubernetes.io/component"])


def _component(sight: Sight, found: Object) -> Judgement:
    asked, status = found["spec"].get("replicas", 1), found.get("status", {})
    ready = status.get("readyReplicas", 0)
    seen = f"{ready} of {asked} ready"
    if ready >= asked:
        current = status.get("updatedReplicas", 0) >= asked and _observed(found)
        return Judgement(sight.named(found), seen if current else f"{seen}, and being replaced", verified=current)
    reasons = [text for pod in _pods(sight, found) if (text := trouble(pod))]
    labels = f"app.kubernetes.io/component={_component_name(found)}"
    fix = f"look with: kubectl -n {sight.namespace} describe pods -l {labels}"
    return wrong("component", sight.named(found), "; ".join([seen, *reasons]), fix)


def _observed(found: Object) -> bool:
    return bool(found["status"].get("observedGeneration", 0) >= found["metadata"].get("generation", 0))


def _pods(sight: Sight, found: Object) -> Iterator[Object]:
    wanted = found["spec"]["selector"]["matchLabels"].items()
    return (pod for pod in sight.pods if wanted <= pod["metadata"].get("labels", {}).items())
