"""Ends of pods that their programs did not decide: each is told apart by the pod's reason and condition."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from kpo_platform.diagnosis.diagnose import diagnose
from kpo_platform.diagnosis.facts import Facts, Need
from unit.support.contracts import TEAM, build_contract
from unit.support.diagnosis import IMAGE, answer, build_pod, end_with, find_causes
from unit.support.pod_statuses import LATER, RUNNING, UNSEEN, target
from unit.support.pod_statuses import pod as build_status

NOW = datetime(2026, 11, 30, 10, 1, tzinfo=UTC)
FULL = 'Container base exceeded its local ephemeral storage limit "1Gi". '
LOW = "The node was low on resource: memory. Threshold quantity: 100Mi, available: 84Mi. "
BASE = {"name": "base", "image": IMAGE, "resources": {"limits": {"memory": "128Mi"}, "requests": {"memory": "64Mi"}}}
OWN = {"nodeName": "node-1", "activeDeadlineSeconds": 30, "containers": [BASE]}


@pytest.mark.parametrize(
    ("status", "code", "about", "text"),
    [
        (
            {"reason": "Evicted", "message": FULL},
            "KPO-END114",
            "Pod team-alpha/report",
            'The program wrote more to the disk of its node than the limit of container "base", 1Gi',
        ),
        (
            {
                "reason": "Evicted",
                "message": "Pod ephemeral local storage usage exceeds the total limit of containers 2Gi. ",
            },
            "KPO-END114",
            "Pod team-alpha/report",
            "The program wrote more to the disk of its node than the limit of the pod report, 2Gi",
        ),
        (
            {"reason": "Evicted", "message": 'Usage of EmptyDir volume "work" exceeds the limit "1Gi". '},
            "KPO-END114",
            "Pod team-alpha/report",
            'The volume "work" (emptyDir) of the pod report is fuller than its limit of 1Gi',
        ),
        (
            {"reason": "Evicted", "message": LOW},
            "KPO-END117",
            "Pod team-alpha/report",
            'The node "node-1" was short of memory and evicted the pod report',
        ),
        (
            {"reason": "Evicted", "message": "Pod was rejected: The node had condition: [DiskPressure]. "},
            "KPO-END117",
            "Pod team-alpha/report",
            'The node "node-1" was short of disk and evicted the pod report',
        ),
        (
            {"reason": "DeadlineExceeded", "message": "Pod was active on the node longer than the specified deadline"},
            "KPO-END113",
            "Pod team-alpha/report",
            "The pod report ran longer than its activeDeadlineSeconds of 30 s",
        ),
        (
            {"reason": "SysctlForbidden", "message": 'Pod was rejected: forbidden sysctl: "a" not allowlisted'},
            "KPO-END115",
            "Pod team-alpha/report",
            'The node "node-1" refused the pod report, and will refuse it again: Pod was rejected: forbidden '
            'sysctl: "a" not allowlisted',
        ),
        (
            {"reason": "OutOfcpu", "message": "Pod was rejected: Node didn't have enough resource: cpu"},
            "KPO-END116",
            "Pod team-alpha/report",
            'The pod report was disrupted by the cluster: its node "node-1" had no room left: Pod was rejected: Node '
            "didn't have enough resource: cpu",
        ),
        (
            {"reason": "UnexpectedAdmissionError", "message": "Allocate failed"},
            "KPO-END116",
            "Pod team-alpha/report",
            'The pod report was disrupted by the cluster: its node "node-1" refused it: Allocate failed',
        ),
        (
            {"reason": "NodeLost"},
            "KPO-END118",
            "Node node-1",
            'The pod report was disrupted by the cluster: its node "node-1" does not answer',
        ),
        (
            {"reason": "Terminated", "message": "Pod was terminated in response to imminent node shutdown."},
            "KPO-END119",
            "Node node-1",
            'The pod report was disrupted by the cluster: its node "node-1" was shutting down',
        ),
        (
            target("PreemptionByScheduler", "default-scheduler: preempting", None),
            "KPO-END120",
            "Pod team-alpha/report",
            "The pod report was disrupted by the cluster: a pod of higher priority took its place",
        ),
        (
            target("EvictionByEvictionAPI", "Eviction API: evicting", None),
            "KPO-END121",
            "Pod team-alpha/report",
            'The pod report was disrupted by the cluster: it was evicted, as when its node "node-1" is drained',
        ),
        (
            target("NewReason", "made room.", None),
            "KPO-END100",
            "Pod team-alpha/report",
            "The pod report was disrupted by the cluster: the cluster ended it: made room",
        ),
    ],
)
def test_end_of_a_pod_is_told_by_its_reason(status: dict[str, Any], code: str, about: str, text: str):
    base = {"name": "base", "state": {"terminated": UNSEEN}}
    pod = build_pod(OWN, **{"phase": "Failed", "containerStatuses": [base], **status})
    if code in ("KPO-END120", "KPO-END121"):
        pod["metadata"] |= {"deletionTimestamp": LATER, "deletionGracePeriodSeconds": 0}
    if code == "KPO-END113":
        pod["status"]["containerStatuses"] = [end_with(137)]
    assert find_causes(Facts(pod=pod, now=NOW)) == [(code, "final", about, text)]


def test_usage_in_an_eviction_asks_for_a_larger_request():
    message = f"{LOW}Container base was using 3Gi, request is 64Mi, has larger consumption of memory. "
    pod = build_pod(OWN, phase="Failed", reason="Evicted", message=message)
    (cause,) = diagnose(Facts(pod=pod)).causes
    assert cause.finding.cause.endswith("the program used 3Gi, more than its request of 64Mi")
    both = {"limits": {"memory": "6Gi"}, "requests": {"memory": "6Gi"}}
    assert cause.finding.fix.patch == {"spec": {"containers": [{"name": "base", "resources": both}]}}


@pytest.mark.parametrize(
    ("longest", "patch", "text"),
    [
        (
            0,
            {"spec": {"activeDeadlineSeconds": None}},
            "Raise active_deadline_seconds, or let the program end earlier.",
        ),
        (
            60,
            {"spec": {"activeDeadlineSeconds": 60}},
            "Raise active_deadline_seconds: the team's policy.maxRuntime allows",
        ),
        (30, None, "Ask the platform team for a longer policy.maxRuntime than 30 s."),
    ],
)
def test_deadline_knows_the_teams_longest_run(longest: int, patch: Any, text: str):
    team = build_contract(policy={**TEAM["policy"], "maxRuntime": longest}).team("alpha")
    pod = build_pod(OWN, phase="Failed", reason="DeadlineExceeded", containerStatuses=[end_with(137)])
    (cause,) = diagnose(Facts(pod=pod, team=team)).causes
    assert cause.finding.fix.patch == patch
    assert cause.finding.fix.text.startswith(text)


@pytest.mark.parametrize(
    ("taint", "code", "text"),
    [
        (
            {"key": "maintenance", "value": "yes", "effect": "NoExecute"},
            "KPO-END122",
            "has the taint maintenance=yes:NoExecute",
        ),
        ({"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"}, "KPO-END118", "does not answer"),
        (None, "KPO-END122", "got a taint that the pod does not tolerate"),
    ],
)
def test_taint_is_read_from_the_node(taint: dict[str, str] | None, code: str, text: str):
    pod = build_pod(
        OWN, phase="Running", containerStatuses=[end_with(143)], **target("DeletionByTaintManager", "", None)
    )
    pod["metadata"]["deletionTimestamp"] = "2026-11-30T10:00:05Z"
    node = answer({"metadata": {"name": "node-1"}, "spec": {"taints": [taint] if taint else []}})
    ((found, _, about, sentence),) = find_causes(Facts(pod=pod, now=NOW), {Need("Node", "", "node-1"): node})
    assert (found, about) == (code, "Node node-1")
    assert text in sentence


def test_pod_that_is_gone_or_being_deleted_is_told_as_deleted():
    gone = Facts(pod=build_status("Running", RUNNING), is_gone=True)
    text = "The pod load-1 was disrupted by the cluster: it no longer exists, and no event tells why"
    assert find_causes(gone) == [("KPO-END124", "final", "Pod alpha/load-1", text)]
    deleted = Facts(
        pod=build_status("Running", RUNNING, deleted=True), now=datetime(2026, 11, 29, 9, 20, 10, tzinfo=UTC)
    )
    assert [cause[0] for cause in find_causes(deleted)] == ["KPO-END124"]


def test_lost_container_is_no_failure_of_the_program():
    lost = Facts(pod=build_status("Failed", {"terminated": UNSEEN}))
    assert [cause[0] for cause in find_causes(lost)] == ["KPO-END123"]
