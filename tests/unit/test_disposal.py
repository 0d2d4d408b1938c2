"""lifecycle.disposal: what happens to a pod after its task."""

from __future__ import annotations

import pytest
from airflow.providers.cncf.kubernetes.utils.pod_manager import OnFinishAction

from kpo_platform.airflow.operators.lifecycle.disposal import PodDisposal, decide_disposal, describe_kept_pod
from kpo_platform.pod.state import PodState, parse_pod_state

D, K, E = PodDisposal.DELETE, PodDisposal.KEEP, PodDisposal.TERMINATE_AND_KEEP


def pod(phase: str) -> PodState:
    """A pod whose program runs, has run or has not started, by its phase."""
    statuses = [{"name": "base", "state": {"running": {}}}] if phase == "Running" else []
    return parse_pod_state({"status": {"phase": phase, "containerStatuses": statuses}})


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


SIDECAR = {"name": "proxy", "state": {"running": {}}}


def with_sidecar(exit_code: int) -> PodState:
    """A pod whose program has ended, and whose ordinary sidecar runs on."""
    base = {"name": "base", "state": {"terminated": {"exitCode": exit_code}}}
    return parse_pod_state({"status": {"phase": "Running", "containerStatuses": [base, SIDECAR]}})


@pytest.mark.parametrize(
    ("action", "exit_code", "disposal"),
    [("delete_succeeded_pod", 0, D), ("keep_pod", 0, E), ("keep_pod", 1, E), ("delete_succeeded_pod", 1, E)],
)
def test_kept_pod_does_not_run_on_for_its_sidecar(action: str, exit_code: int, disposal: PodDisposal):
    assert decide_disposal(with_sidecar(exit_code), OnFinishAction(action), "", "base") is disposal


def test_kubelet_ends_a_native_sidecar_by_itself():
    native = {"containers": [{"name": "base"}], "initContainers": [{"name": "proxy", "restartPolicy": "Always"}]}
    base = {"name": "base", "state": {"terminated": {"exitCode": 0}}}
    status = {"phase": "Running", "containerStatuses": [base], "initContainerStatuses": [SIDECAR]}
    assert (
        decide_disposal(parse_pod_state({"spec": native, "status": status}), OnFinishAction.KEEP_POD, "", "base") is K
    )


def test_kept_pod_is_described_with_kubectl_commands():
    assert describe_kept_pod("load-x1", "team-alpha", "base") == (
        "Pod load-x1 is kept in namespace team-alpha. Inspect it with `kubectl -n team-alpha logs load-x1 -c base` and "
        "`kubectl -n team-alpha describe pod load-x1`. Delete it with `kubectl -n team-alpha delete pod load-x1`."
    )


def with_waiting_container() -> PodState:
    """A pending pod whose program has failed while the image of another container is still pulled."""
    base = {"name": "base", "state": {"terminated": {"exitCode": 3, "startedAt": "2026-11-29T09:00:00Z"}}}
    proxy = {"name": "proxy", "state": {"waiting": {"reason": "ContainerCreating"}}}
    return parse_pod_state({"status": {"phase": "Pending", "containerStatuses": [base, proxy]}})


@pytest.mark.parametrize(
    ("action", "on_failure", "disposal"),
    [
        ("keep_pod", "", E),
        ("delete_succeeded_pod", "", E),
        ("delete_pod", "keep", E),
        ("delete_pod", "", D),
        ("delete_active_pod", "", D),
    ],
)
def test_pod_whose_program_has_run_is_kept_although_it_is_pending(action: str, on_failure: str, disposal: PodDisposal):
    assert decide_disposal(with_waiting_container(), OnFinishAction(action), on_failure, "base") is disposal


@pytest.mark.parametrize(("exit_code", "disposal"), [(0, K), (1, K)])
def test_pod_without_a_running_container_is_not_active(exit_code: int, disposal: PodDisposal):
    """As after the end of the XCom sidecar, which the last state that was read does not show yet."""
    pod = with_sidecar(exit_code).without("proxy")
    assert decide_disposal(pod, OnFinishAction.DELETE_ACTIVE_POD, "", "base") is disposal
