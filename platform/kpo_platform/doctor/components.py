"""Check that the components of a release are ready."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from kpo_platform.doctor.pod_status import list_problems
from kpo_platform.doctor.result import CheckResult, report_failure, report_incomplete, report_pass
from kpo_platform.doctor.snapshot import ReleaseSnapshot
from kpo_platform.kube import Object


def check_components(snapshot: ReleaseSnapshot) -> Iterator[CheckResult]:
    """Check every Deployment and StatefulSet of a release."""
    return (_check_workload(snapshot, workload) for workload in _sort_workloads(snapshot))


def check_duplicates(snapshot: ReleaseSnapshot) -> Iterator[CheckResult]:
    """Report every component that has two Deployments or StatefulSets.

    Some values of the chart (``logs.persistence``) turn a component from a Deployment into a StatefulSet or back. If
    such an upgrade fails and the next one reverts it, Helm compares with the last successful revision, so the objects
    of the failed revision stay: a second scheduler, with the reverted settings.
    """
    for _, group in groupby(_sort_workloads(snapshot), key=_get_component_name):
        if len(workloads := list(group)) > 1:
            yield _report_duplicates(snapshot, workloads)


def _sort_workloads(snapshot: ReleaseSnapshot) -> list[Object]:
    return sorted(snapshot.workloads, key=lambda workload: (str(workload["metadata"]["name"]), workload["kind"]))


def _report_duplicates(snapshot: ReleaseSnapshot, workloads: list[Object]) -> CheckResult:
    first, *others = workloads
    names = " and ".join(str(snapshot.identify(other)) for other in others)
    kubectl, release = f"kubectl -n {snapshot.namespace}", first["metadata"]["labels"]["app.kubernetes.io/instance"]
    manifest = f"helm -n {snapshot.namespace} get manifest {release}"
    commands = " or ".join(
        f"{kubectl} delete {workload['kind'].lower()} {workload['metadata']['name']}" for workload in workloads
    )
    seen = f"runs alongside {names}; a failed upgrade left one of them"
    fix = f"Delete the one that {manifest} does not list: {commands}"
    return report_failure("duplicate", snapshot.identify(first), seen, fix)


def _get_component_name(workload: Object) -> str:
    return str(workload["metadata"]["labels"]["app.kubernetes.io/component"])


def _check_workload(snapshot: ReleaseSnapshot, workload: Object) -> CheckResult:
    replicas, status = workload["spec"].get("replicas", 1), workload.get("status", {})
    ready = status.get("readyReplicas", 0)
    name, seen = snapshot.identify(workload), f"{ready} of {replicas} ready"
    if ready >= replicas:
        if status.get("updatedReplicas", 0) >= replicas and _is_observed(workload):
            return report_pass("component", name, seen)
        return report_incomplete("component", name, f"{seen}, rollout in progress")
    problems = list_problems(_find_pods(snapshot, workload), snapshot.events)
    labels = f"app.kubernetes.io/component={_get_component_name(workload)}"
    fix = f"See kubectl -n {snapshot.namespace} describe pods -l {labels}"
    return report_failure("component", name, "; ".join([seen, *problems]), fix)


def _is_observed(workload: Object) -> bool:
    return bool(workload["status"].get("observedGeneration", 0) >= workload["metadata"].get("generation", 0))


def _find_pods(snapshot: ReleaseSnapshot, workload: Object) -> Iterator[Object]:
    labels = workload["spec"]["selector"]["matchLabels"].items()
    return (pod for pod in snapshot.pods if labels <= pod["metadata"].get("labels", {}).items())
