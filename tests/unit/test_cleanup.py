"""lifecycle.cleanup: what happens to a pod after its task."""

from __future__ import annotations

import pytest
from airflow.providers.cncf.kubernetes.utils.pod_manager import OnFinishAction
from kubernetes.client import models as k8s

from kpo_platform.airflow.operators.lifecycle.cleanup import PodDisposal, decide_disposal, describe_kept_pod

D, K, E = PodDisposal.DELETE, PodDisposal.KEEP, PodDisposal.TERMINATE_AND_KEEP


def pod(phase: str) -> k8s.V1Pod:
    metadata = k8s.V1ObjectMeta(name="load-x1", namespace="team-alpha")
    return k8s.V1Pod(metadata=metadata, status=k8s.V1PodStatus(phase=phase))


@pytest.mark.parametrize(
    ("action", "on_failure", "pending", "running", "succeeded", "failed"),
    [
        ("delete_pod", "", D, D, D, D),
        ("delete_succeeded_pod", "", D, E, D, K),
        ("delete_active_pod", "", D, D, K, K),
        ("keep_pod", "", D, E, K, K),
        ("delete_pod", "keep", D, E, D, K),
        ("delete_succeeded_pod", "delete", D, D, D, D),
        ("keep_pod", "delete", D, D, K, D),
    ],
)
def test_failure_policy_of_the_team_overrides_the_action(
    action: str,
    on_failure: str,
    pending: PodDisposal,
    running: PodDisposal,
    succeeded: PodDisposal,
    failed: PodDisposal,
):
    phases = ("Pending", "Running", "Succeeded", "Failed")
    disposals = [decide_disposal(pod(phase), OnFinishAction(action), on_failure, "base") for phase in phases]
    assert disposals == [pending, running, succeeded, failed]


def test_pod_with_running_sidecar_counts_as_succeeded():
    done = pod("Running")
    state = k8s.V1ContainerState(terminated=k8s.V1ContainerStateTerminated(exit_code=0))
    done.status.container_statuses = [
        k8s.V1ContainerStatus(name="base", state=state, image="i", image_id="i", ready=False, restart_count=0)
    ]
    assert decide_disposal(done, OnFinishAction.DELETE_SUCCEEDED_POD, "keep", "base") is PodDisposal.DELETE


def test_kept_pod_is_described_with_kubectl_commands():
    assert describe_kept_pod(pod("Failed"), "base") == (
        "Pod load-x1 is kept in namespace team-alpha. Inspect it with `kubectl -n team-alpha logs load-x1 -c base` and "
        "`kubectl -n team-alpha describe pod load-x1`. Delete it with `kubectl -n team-alpha delete pod load-x1`."
    )
