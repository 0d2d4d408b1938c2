"""How the run of a pod ended, by statuses as Kubernetes 1.30 and later writes them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from kpo_platform.pod.outcome import Outcome, OutcomeKind, decide_outcome
from kpo_platform.pod.state import parse_pod_state
from unit.support.any_json import ANY_JSON, damage
from unit.support.pod_statuses import INITIALIZING, LATER, RUNNING, STARTED, UNSEEN, WAITING, Json, ended, pod, target

SUCCEEDED, FAILED, SKIPPED, DISRUPTED = OutcomeKind
Decision = tuple[OutcomeKind, str, int | None] | None

LOW = "The node was low on resource: memory. Threshold quantity: 100Mi, available: 84Mi. "
FULL = 'Container base exceeded its local ephemeral storage limit "1Gi". '
SHUTDOWN = "Pod was terminated in response to imminent node shutdown."
DEADLINE: Json = {
    "reason": "DeadlineExceeded",
    "message": "Pod was active on the node longer than the specified deadline",
}
EVICTED: Json = {"reason": "Evicted", "message": LOW, **target("TerminationByKubelet", LOW)}
OVER_LIMIT: Json = {"reason": "Evicted", "message": FULL, **target("TerminationByKubelet", FULL)}
DRAINED = target("EvictionByEvictionAPI", "Eviction API: evicting")
PREEMPTED = target("PreemptionByScheduler", "default-scheduler: preempting to accommodate a higher priority pod")
TAINTED = target("DeletionByTaintManager", "Taint manager: deleting due to NoExecute taint")
ORPHANED = target("DeletionByPodGC", "PodGC: node no longer exists")
STOPPING: Json = {"reason": "Terminated", "message": SHUTDOWN, **target("TerminationByKubelet", SHUTDOWN)}
NEVER_RAN = {"exitCode": 128, "reason": "StartError", "startedAt": "1970-01-01T00:00:00Z", "finishedAt": STARTED}


def decide(status: Json, **arguments: Any) -> Decision:
    outcome = decide_outcome(parse_pod_state(status), container="base", **arguments)
    return outcome and (outcome.kind, outcome.reason, outcome.exit_code)


BY_ITSELF: dict[str, tuple[Json, Decision]] = {
    "success": (pod("Succeeded", ended(0)), (SUCCEEDED, "Completed", 0)),
    "failure": (pod("Failed", ended(3)), (FAILED, "Error", 3)),
    "out of memory": (pod("Failed", ended(137, reason="OOMKilled")), (FAILED, "OOMKilled", 137)),
    "no such program": (pod("Failed", {"terminated": NEVER_RAN}), (FAILED, "StartError", 128)),
    "success beside a living native sidecar": (pod("Running", ended(0), sidecar=RUNNING), (SUCCEEDED, "Completed", 0)),
    "success beside a living sidecar": (pod("Running", ended(0), aside=RUNNING), (SUCCEEDED, "Completed", 0)),
    "failure beside a living sidecar": (pod("Running", ended(1), aside=RUNNING), (FAILED, "Error", 1)),
    "success beside a failed sidecar": (pod("Failed", ended(0), aside=ended(1)), (SUCCEEDED, "Completed", 0)),
    "success without containers": (pod("Succeeded"), (SUCCEEDED, "Completed", None)),
    "failed init container": (pod("Failed", INITIALIZING, init=ended(1)), (FAILED, "Error", None)),
    "init container out of memory": (
        pod("Failed", INITIALIZING, init=ended(137, reason="OOMKilled")),
        (FAILED, "OOMKilled", None),
    ),
}

STILL_RUNNING: dict[str, tuple[Json, Decision]] = {
    "not scheduled": (pod("Pending"), None),
    "image never pulled": (pod("Pending", {"waiting": {"reason": "ImagePullBackOff"}}), None),
    "init container running": (pod("Pending", INITIALIZING, init=RUNNING), None),
    "init container restarting": (pod("Pending", INITIALIZING, init=ended(1)), None),
    "running": (pod("Running", RUNNING), None),
    "running beside a failed sidecar": (pod("Running", RUNNING, aside=ended(1)), None),
    "running until the end of its grace period": (pod("Running", RUNNING, deleted=True), None),
    "running, an eviction is announced": (pod("Running", RUNNING, **DRAINED), None),
    "running, the node shuts down": (pod("Running", RUNNING, **STOPPING), None),
    "phase unknown": (pod("Unknown", RUNNING, reason="NodeLost"), None),
}

BY_THE_CLUSTER: dict[str, tuple[Json, Decision]] = {
    "evicted by node pressure": (pod("Failed", ended(137, LATER), **EVICTED), (DISRUPTED, "Evicted", 137)),
    "evicted, end not seen": (pod("Failed", {"terminated": UNSEEN}, **EVICTED), (DISRUPTED, "Evicted", None)),
    "evicted before it started": (pod("Failed", WAITING, **EVICTED), (DISRUPTED, "Evicted", None)),
    "drained": (pod("Running", ended(143, LATER), deleted=True, **DRAINED), (DISRUPTED, "EvictionByEvictionAPI", 143)),
    "drained, exit 0 when told to stop": (
        pod("Succeeded", ended(0, LATER), deleted=True, **DRAINED),
        (DISRUPTED, "EvictionByEvictionAPI", 0),
    ),
    "preempted": (
        pod("Failed", ended(143, LATER), deleted=True, **PREEMPTED),
        (DISRUPTED, "PreemptionByScheduler", 143),
    ),
    "preempted before it started": (
        pod("Pending", WAITING, deleted=True, **PREEMPTED),
        (DISRUPTED, "PreemptionByScheduler", None),
    ),
    "preempted while an init container ran": (
        pod("Failed", INITIALIZING, init=ended(143, LATER), deleted=True, **PREEMPTED),
        (DISRUPTED, "PreemptionByScheduler", None),
    ),
    "removed by a taint": (
        pod("Failed", ended(143, LATER), deleted=True, **TAINTED),
        (DISRUPTED, "DeletionByTaintManager", 143),
    ),
    "node removed": (pod("Failed", RUNNING, **ORPHANED), (DISRUPTED, "DeletionByPodGC", None)),
    "node shut down": (pod("Failed", ended(143, LATER), **STOPPING), (DISRUPTED, "Terminated", 143)),
    "node shut down, older kubelet": (
        pod("Failed", ended(137, LATER), reason="Terminated", message=SHUTDOWN),
        (DISRUPTED, "Terminated", 137),
    ),
    "node restarted": (pod("Failed", ended(255, reason="Unknown")), (DISRUPTED, "Unknown", None)),
    "container lost": (pod("Failed", {"terminated": UNSEEN}), (DISRUPTED, "ContainerStatusUnknown", None)),
    "deleted before it had a node": (pod("Pending", deleted=True), (DISRUPTED, "Deleted", None)),
    "deleted while it started": (pod("Pending", WAITING, deleted=True), (DISRUPTED, "Deleted", None)),
    "deleted while it ran": (pod("Failed", ended(143, LATER), deleted=True), (DISRUPTED, "Deleted", 143)),
    "deleted, end not seen": (pod("Failed", {"terminated": UNSEEN}, deleted=True), (DISRUPTED, "Deleted", None)),
    "deleted, exit 0 when told to stop": (pod("Running", ended(0, LATER), deleted=True), (DISRUPTED, "Deleted", 0)),
    "deleted, end without a time": (pod("Failed", ended(0, None), deleted=True), (DISRUPTED, "Deleted", 0)),
    "deleted, clocks differ by a second": (
        pod("Failed", ended(143, "2026-11-29T09:19:59Z"), deleted=True),
        (DISRUPTED, "Deleted", 143),
    ),
    "ended before it started, without a reason": (pod("Failed", WAITING), (DISRUPTED, "NotStarted", None)),
    "ended while running, without a reason": (
        pod("Failed", RUNNING),
        (DISRUPTED, "ContainerStatusUnknown", None),
    ),
}

BEFORE_THE_DISRUPTION: dict[str, tuple[Json, Decision]] = {
    "failed, deleted later": (pod("Failed", ended(1), deleted=True), (FAILED, "Error", 1)),
    "succeeded, deleted later": (pod("Succeeded", ended(0), deleted=True), (SUCCEEDED, "Completed", 0)),
    "out of memory, node removed later": (
        pod("Failed", ended(137, reason="OOMKilled"), deleted=True, **ORPHANED),
        (FAILED, "OOMKilled", 137),
    ),
    "failed, its sidecar evicted later": (
        pod("Failed", ended(1), aside=ended(137, LATER), **EVICTED),
        (FAILED, "Error", 1),
    ),
    "failed, eviction announced but never begun": (pod("Failed", ended(1, LATER), **DRAINED), (FAILED, "Error", 1)),
    "init container failed, deleted later": (
        pod("Failed", INITIALIZING, init=ended(1), deleted=True),
        (FAILED, "Error", None),
    ),
}

OWN_LIMITS: dict[str, tuple[Json, Decision]] = {
    "storage limit": (pod("Failed", ended(137, LATER), **OVER_LIMIT), (FAILED, "Evicted", 137)),
    "storage limit, end not seen": (pod("Failed", {"terminated": UNSEEN}, **OVER_LIMIT), (FAILED, "Evicted", None)),
    "storage limit after success": (pod("Failed", ended(0), **OVER_LIMIT), (SUCCEEDED, "Completed", 0)),
    "deadline": (pod("Failed", ended(143, LATER), deadline_s=900, **DEADLINE), (FAILED, "DeadlineExceeded", 143)),
    "deadline, exit 0 when told to stop": (
        pod("Failed", ended(0, LATER), deadline_s=900, **DEADLINE),
        (FAILED, "DeadlineExceeded", 0),
    ),
    "deadline after success": (
        pod("Failed", ended(0), aside=ended(137, LATER), deadline_s=900, **DEADLINE),
        (SUCCEEDED, "Completed", 0),
    ),
    "deadline before the image was pulled": (
        pod("Failed", {"waiting": {"reason": "ErrImagePull"}}, deadline_s=900, **DEADLINE),
        (FAILED, "DeadlineExceeded", None),
    ),
    "deadline, deleted later": (
        pod("Failed", ended(143), deleted=True, deadline_s=600, **DEADLINE),
        (FAILED, "DeadlineExceeded", 143),
    ),
}


@pytest.mark.parametrize(
    ("status", "decision"),
    [
        pytest.param(*row, id=name)
        for table in (BY_ITSELF, STILL_RUNNING, BY_THE_CLUSTER, BEFORE_THE_DISRUPTION, OWN_LIMITS)
        for name, row in table.items()
    ],
)
def test_status_decides_the_outcome(status: Json, decision: Decision):
    assert decide(status) == decision


@pytest.mark.parametrize(
    "reason",
    [
        *("OutOfcpu", "OutOfmemory", "OutOfpods", "OutOfephemeral-storage", "OutOfnvidia.com/gpu"),
        *("UnexpectedAdmissionError", "NodeAffinity", "NodeName", "NodePorts", "TaintToleration"),
        *("Preempting", "NodeShutdown", "TopologyAffinityError", "VolumeAttachmentLimitExceeded"),
        *("InvalidNodeInfo", "UnknownReason", "UnexpectedPredicateFailureType", "Evicted", "AReasonOfTheFuture"),
    ],
)
def test_refusal_because_of_the_node_is_a_disruption(reason: str):
    refused = pod("Failed", reason=reason, message=f"Pod was rejected: {reason}")
    assert decide(refused) == (DISRUPTED, reason, None)


@pytest.mark.parametrize(
    "reason",
    [
        *("AppArmor", "SMTAlignmentError", "SysctlForbidden", "PodOSNotSupported"),
        *("PodOSSelectorNodeLabelDoesNotMatch", "InitContainerRestartPolicyForbidden"),
        *("SupplementalGroupsPolicyNotSupported", "PodLevelResourcesNotSupported", "PodFeatureUnsupported"),
    ],
)
def test_refusal_of_what_the_pod_asks_for_is_a_failure(reason: str):
    refused = pod("Failed", reason=reason, message=f"Pod was rejected: {reason}")
    assert decide(refused) == (FAILED, reason, None)


def test_running_pod_that_a_restarted_kubelet_refuses_is_disrupted():
    refused = pod("Failed", ended(137, LATER), reason="UnexpectedAdmissionError", message="Allocate failed")
    assert decide(refused) == (DISRUPTED, "UnexpectedAdmissionError", 137)


@pytest.mark.parametrize(
    ("status", "decision"),
    [
        (pod("Running", ended(0), aside=RUNNING), (SUCCEEDED, "Completed", 0)),
        (pod("Running", ended(7), aside=RUNNING), (FAILED, "Error", 7)),
        (pod("Pending", INITIALIZING, init=ended(7)), (FAILED, "Error", None)),
        (pod("Running", ended(0, LATER), deleted=True), (DISRUPTED, "Deleted", 0)),
        (pod("Running", RUNNING, **DRAINED), (DISRUPTED, "EvictionByEvictionAPI", None)),
        (pod("Running", RUNNING, **STOPPING), (DISRUPTED, "Terminated", None)),
        (pod("Running", RUNNING, deleted=True), (DISRUPTED, "Deleted", None)),
        (pod("Running", RUNNING), (DISRUPTED, "Gone", None)),
        (pod("Pending"), (DISRUPTED, "Gone", None)),
        ({}, (DISRUPTED, "Gone", None)),
    ],
)
def test_last_state_decides_the_outcome_of_a_pod_that_is_gone(status: Json, decision: Decision):
    assert decide(status, is_gone=True) == decision


@pytest.mark.parametrize("status", [pod("Running", RUNNING), pod("Running", RUNNING, deleted=True)])
def test_events_tell_why_a_pod_is_gone(status: Json):
    events = [{"reason": "Killing"}, {"reason": "TaintManagerEviction", "message": "Marking for deletion"}]
    assert decide(status, is_gone=True, events=events) == (DISRUPTED, "TaintManagerEviction", None)


def test_stop_of_the_program_tells_that_the_pod_was_deleted():
    stopped = {"reason": "Killing", "message": "Stopping container base"}
    events = [{**stopped, "involvedObject": {"fieldPath": "spec.containers{base}"}}]
    assert decide(pod("Running", RUNNING), is_gone=True, events=events) == (DISRUPTED, "Deleted", None)


def test_pod_that_is_gone_after_its_own_deadline_has_failed():
    events = [{"reason": "DeadlineExceeded", "message": "Pod was active on the node longer than the deadline"}]
    assert decide(pod("Running", RUNNING), is_gone=True, events=events) == (FAILED, "DeadlineExceeded", None)


@pytest.mark.parametrize(
    ("status", "decision"),
    [
        (pod("Failed", ended(99)), (SKIPPED, "Error", 99)),
        (pod("Failed", ended(98)), (FAILED, "Error", 98)),
        (pod("Succeeded", ended(0)), (SUCCEEDED, "Completed", 0)),
        (pod("Failed", ended(99), deleted=True), (SKIPPED, "Error", 99)),
        (pod("Failed", ended(99, LATER), deadline_s=900, **DEADLINE), (SKIPPED, "DeadlineExceeded", 99)),
        (pod("Failed", ended(143, LATER), deleted=True, **DRAINED), (DISRUPTED, "EvictionByEvictionAPI", 143)),
        (pod("Failed", ended(137, LATER), **EVICTED), (DISRUPTED, "Evicted", 137)),
        (pod("Failed", ended(137, LATER), **OVER_LIMIT), (FAILED, "Evicted", 137)),
        (pod("Failed", INITIALIZING, init=ended(99)), (FAILED, "Error", None)),
        (pod("Failed", {"terminated": UNSEEN}), (DISRUPTED, "ContainerStatusUnknown", None)),
    ],
)
def test_skip_code_skips_only_what_the_program_decided(status: Json, decision: Decision):
    assert decide(status, skip_codes=[0, 99, 137, 143]) == decision


@given(ANY_JSON | damage(pod("Failed", ended(1), init=ended(0), deleted=True, deadline_s=900, **EVICTED)), ANY_JSON)
def test_no_json_raises(status: Any, events: Any):
    for is_gone in (False, True):
        outcome = decide_outcome(
            parse_pod_state(status), container="base", is_gone=is_gone, skip_codes=[3], events=events
        )
        assert isinstance(outcome, Outcome) or (outcome is None and not is_gone)
