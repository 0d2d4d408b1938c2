"""What a task's error says about the end of its pod."""

from __future__ import annotations

import pytest

from kpo_platform.pod.outcome import decide_outcome
from kpo_platform.pod.state import parse_pod_state
from unit.support.pod_statuses import INITIALIZING, LATER, RUNNING, UNSEEN, Json, ended, pod, target

LOW = "The node was low on resource: memory. Threshold quantity: 100Mi, available: 84Mi. "
FULL = 'Container base exceeded its local ephemeral storage limit "1Gi". '
NO_CPU = "Pod was rejected: Node didn't have enough resource: cpu, requested: 4000, used: 250, capacity: 4000"
NOT_FOUND = 'failed to create containerd task: exec: "lod": executable file not found in $PATH: unknown'


def describe(status: Json, is_gone: bool = False) -> str:
    outcome = decide_outcome(parse_pod_state(status), container="base", is_gone=is_gone)
    assert outcome is not None
    return outcome.message


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (pod("Succeeded", ended(0)), ""),
        (pod("Failed", ended(3)), "The program failed: container base ended with exit code 3."),
        (
            pod("Failed", ended(1, message="Traceback:\n  no table 'a'\n")),
            "The program failed: container base ended with exit code 1. Traceback: no table 'a'.",
        ),
        (
            pod("Failed", ended(143)),
            "The program failed: container base ended with exit code 143, SIGTERM.",
        ),
        (
            pod("Failed", ended(137, reason="OOMKilled")),
            "The program ran out of memory: container base was killed (OOMKilled, exit code 137); its memory limit is "
            "512Mi. Use less memory, or a larger size.",
        ),
        (
            pod("Failed", ended(128, reason="StartError", message=NOT_FOUND)),
            f"The program cannot start (StartError, exit code 128). {NOT_FOUND}.",
        ),
        (
            pod("Failed", INITIALIZING, init=ended(2, message="no such branch")),
            "Init container fetch failed with exit code 2, so the program did not start. no such branch.",
        ),
        (
            pod("Failed", ended(137, LATER), reason="Evicted", message=FULL),
            "The pod exceeded its own limit of ephemeral storage (Evicted). Container base exceeded its local "
            'ephemeral storage limit "1Gi". Write less to the pod\'s disk, or use a size with more ephemeral storage.',
        ),
        (
            pod("Failed", ended(143, LATER), reason="DeadlineExceeded", message="Pod was active too long"),
            "The pod ran longer than its activeDeadlineSeconds (DeadlineExceeded). Raise active_deadline_seconds, or "
            "ask the platform team for a longer policy.maxRuntime.",
        ),
        (
            pod("Failed", reason="SysctlForbidden", message='Pod was rejected: forbidden sysctl: "a" not allowlisted'),
            'The node refused the pod (SysctlForbidden). Pod was rejected: forbidden sysctl: "a" not allowlisted. '
            "Remove from the pod what its nodes do not support; another start fails too.",
        ),
    ],
)
def test_failure_names_its_cause(status: Json, message: str):
    assert describe(status) == message


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (
            pod("Failed", ended(137, LATER), reason="Evicted", message=LOW, **target("TerminationByKubelet", LOW)),
            f"(Evicted): its node was short of a resource. {LOW.strip()}",
        ),
        (
            pod("Failed", ended(143, LATER), deleted=True, **target("EvictionByEvictionAPI", "Eviction API: evicting")),
            "(EvictionByEvictionAPI): it was evicted, as when its node is drained. Eviction API: evicting.",
        ),
        (
            pod("Failed", ended(143, LATER), **target("AReasonOfAnOperator", "made room")),
            "(AReasonOfAnOperator): the cluster ended it. made room.",
        ),
        (
            pod("Failed", reason="OutOfcpu", message=NO_CPU),
            f"(OutOfcpu): its node had no room left. {NO_CPU}.",
        ),
        (
            pod("Failed", reason="UnexpectedAdmissionError", message="Pod was rejected: Allocate failed"),
            "(UnexpectedAdmissionError): its node refused it. Pod was rejected: Allocate failed.",
        ),
        (
            pod("Failed", {"terminated": UNSEEN}),
            "(ContainerStatusUnknown): its node lost its container, as after a restart of the node. The container "
            "could not be located when the pod was terminated.",
        ),
        (pod("Pending", deleted=True), "(Deleted): it was deleted."),
        (pod("Failed", INITIALIZING), "(NotStarted): it ended before its program started."),
    ],
)
def test_disruption_names_its_cause(status: Json, cause: str):
    assert describe(status) == f"The pod was disrupted by the cluster {cause}"


def test_pod_that_is_gone_is_named_as_such():
    message = "The pod was disrupted by the cluster (Gone): it no longer exists, and no event tells why."
    assert describe(pod("Running", RUNNING), is_gone=True) == message


def test_long_message_of_a_program_keeps_its_end():
    message = describe(pod("Failed", ended(1, message="a" * 1000 + " the cause")))
    assert message == f"The program failed: container base ended with exit code 1. … {'a' * 490} the cause."
