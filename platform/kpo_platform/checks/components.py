"""Are the release's components ready, as many as are asked for?"""

from __future__ import annotations

from collections.abc import Iterator

from kpo_platform.checks.judgement import Judgement, wrong
from kpo_platform.checks.pods import trouble
from kpo_platform.checks.sight import Sight
from kpo_platform.kube import Object


def components(sight: Sight) -> Iterator[Judgement]:
    """Judge every Deployment and StatefulSet of the release."""
    for each in sorted(sight.components, key=lambda found: str(found["metadata"]["name"])):
        yield _component(sight, each)


def _component(sight: Sight, found: Object) -> Judgement:
    asked, status = found["spec"].get("replicas", 1), found.get("status", {})
    ready = status.get("readyReplicas", 0)
    seen = f"{ready} of {asked} ready"
    if ready >= asked:
        current = status.get("updatedReplicas", 0) >= asked and _observed(found)
        return Judgement(sight.named(found), seen if current else f"{seen}, and being replaced", verified=current)
    reasons = [text for pod in _pods(sight, found) if (text := trouble(pod))]
    name = found["metadata"]["labels"]["app.kubernetes.io/component"]
    fix = f"look with: kubectl -n {sight.namespace} describe pods -l app.kubernetes.io/component={name}"
    return wrong("component", sight.named(found), "; ".join([seen, *reasons]), fix)


def _observed(found: Object) -> bool:
    return bool(found["status"].get("observedGeneration", 0) >= found["metadata"].get("generation", 0))


def _pods(sight: Sight, found: Object) -> Iterator[Object]:
    wanted = found["spec"]["selector"]["matchLabels"].items()
    return (pod for pod in sight.pods if wanted <= pod["metadata"].get("labels", {}).items())
