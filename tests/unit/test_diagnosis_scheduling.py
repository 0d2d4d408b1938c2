"""Pods that get no node: what the scheduler's message tells."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kpo_platform.diagnosis.causes.scheduling.scheduling import parse_reasons
from kpo_platform.diagnosis.diagnose import diagnose
from kpo_platform.diagnosis.facts import Facts
from kpo_platform.diagnosis.need import Answer, Need
from unit.support.diagnosis import IMAGE, answer, build_event, build_pod, find_causes
from unit.support.unscheduled_pods import NO_RIGHT, PREEMPTION, SELECTOR, TAINT, count, find_main, pend, request

CREATED = "2026-11-30T10:00:00Z"
LATER = datetime(2026, 11, 30, 10, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("message", "parsed"),
    [
        (
            f"0/5 nodes are available: 1 Insufficient cpu, 2 Insufficient nvidia.com/gpu, 2 {TAINT}.{PREEMPTION}",
            (5, [(1, "Insufficient cpu"), (2, "Insufficient nvidia.com/gpu"), (2, TAINT)]),
        ),
        (
            "0/2 nodes are available: 1 node(s) had taint {a: b}, that the pod didn't tolerate, 1 Too many pods.",
            (2, [(1, "node(s) had taint {a: b}, that the pod didn't tolerate"), (1, "Too many pods")]),
        ),
        (
            "0/3 nodes are available: pod affinity terms conflict. preemption: 0/3 nodes are available.",
            (3, [(3, "pod affinity terms conflict")]),
        ),
        (
            "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: 0/1 nodes.",
            (1, [(1, "Insufficient cpu")]),
        ),
        ("", (0, [(0, "")])),
    ],
)
def test_message_is_parsed_into_counted_reasons(message: str, parsed: Any):
    assert parse_reasons(message) == parsed


@pytest.mark.parametrize(
    ("message", "code", "text"),
    [
        (count("1 Insufficient cpu"), "KPO-SCH102", "No node has room for the pod now: it requests cpu 2"),
        (count("1 Insufficient nvidia.com/gpu"), "KPO-SCH102", "No node has room for the pod now: it requests nvidia"),
        (count("1 Too many pods"), "KPO-SCH104", "The nodes already run as many pods as they can"),
        (count(f"2 {SELECTOR}"), "KPO-SCH105", "2 of 2 nodes do not match the node selector or affinity of the pod"),
        (
            count(f"2 {TAINT}"),
            "KPO-SCH106",
            "2 of 2 nodes have a taint that the pod does not tolerate; Kubernetes does",
        ),
        (
            count("1 node(s) had untolerated taint {team: ml}"),
            "KPO-SCH106",
            "1 of 1 nodes have taints that the pod does not tolerate: team=ml",
        ),
        (count("1 node(s) were unschedulable"), "KPO-SCH107", "1 of 1 nodes are cordoned, and take no new pods"),
        (
            count("1 node(s) had untolerated taint {node.kubernetes.io/not-ready: }"),
            "KPO-SCH108",
            "Nodes cannot take pods because of their state: node.kubernetes.io/not-ready",
        ),
        (
            count("1 node(s) didn't have free ports for the requested pod ports"),
            "KPO-SCH109",
            "The hostPort of the pod is already in use on 1 of 1 nodes",
        ),
        (
            count("1 node(s) didn't match pod affinity rules"),
            "KPO-SCH110",
            "1 of 1 nodes do not run the pods beside which",
        ),
        (
            count("1 node(s) didn't match pod anti-affinity rules"),
            "KPO-SCH111",
            "1 of 1 nodes run a pod that must not share",
        ),
        (
            count("1 node(s) didn't satisfy existing pods anti-affinity rules"),
            "KPO-SCH111",
            "1 of 1 nodes run a pod that must not share",
        ),
        (
            count("1 node(s) didn't match pod topology spread constraints (missing required label)"),
            "KPO-SCH112",
            "1 of 1 nodes would make the distribution of pods too uneven",
        ),
        (count("1 node(s) didn't match the requested node name"), "KPO-SCH113", "1 of 1 nodes are not the node"),
        ("no nodes available to schedule pods", "KPO-SCH114", "The cluster has no nodes"),
        (count("2 cannot allocate all claims"), "KPO-SCH119", "The devices that the pod claims (resourceClaims)"),
        (
            "waiting for minCount pods from a gang to appear in scheduling queue",
            "KPO-SCH120",
            "The pod waits for other pods of its group",
        ),
        (count("1 node(s) were too old"), "KPO-SCH100", "No node can take the pod: node(s) were too old"),
    ],
)
def test_reason_is_told_without_the_right_to_read_nodes(message: str, code: str, text: str):
    cause = find_main(pend(message, request(cpu="2")))
    assert (cause.finding.code, cause.outlook) == (code, "waits")
    assert cause.finding.cause.startswith(text)


def test_refused_nodes_are_named_as_not_looked_at():
    found = diagnose(pend(count("1 Insufficient cpu")), {Need("Node"): NO_RIGHT})
    assert found.could_not_look == ("Nodes: HTTP 403",)


def test_host_port_is_removed_by_the_patch():
    ports = [{"containerPort": 80, "hostPort": 8080}]
    facts = pend(
        count("1 node(s) didn't have free ports for the requested pod ports"),
        {"containers": [{"name": "base", "image": IMAGE, "ports": ports}]},
    )
    cause = find_main(facts)
    assert "hostPort 8080 of the pod" in cause.finding.cause
    assert cause.finding.fix.patch == {
        "spec": {"containers": [{"name": "base", "ports": [{"containerPort": 80, "hostPort": None}]}]}
    }


VOLUME = "node(s) had volume node affinity conflict"


@pytest.mark.parametrize(
    "message",
    [
        'persistentvolumeclaim "data" not found',
        "pod has unbound immediate PersistentVolumeClaims",
        f"2 {VOLUME}",
        "1 node(s) didn't match PersistentVolume's node affinity, 1 node(s) exceed max volume count",
        "2 node(s) had no available volume zone",
        "2 node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)",
        "2 node(s) had no available disk",
        "2 node(s) did not have enough free storage",
    ],
)
def test_volumes_are_left_to_their_family(message: str):
    facts = pend(f"0/2 nodes are available: {message}.{PREEMPTION}")
    assert [cause[0] for cause in find_causes(facts) if cause[0].startswith("KPO-SCH")] == []


def test_error_of_the_scheduler_is_verbatim():
    cause = find_main(pend('plugin "Extra" failed: boom', reason="SchedulerError"))
    assert (cause.finding.code, cause.is_vague) == ("KPO-SCH115", True)
    assert cause.finding.cause == 'The scheduler has an error: plugin "Extra" failed: boom'


@pytest.mark.parametrize(("gate", "outlook"), [("example.com/hold", "grace"), ("kueue.x-k8s.io/admission", "waits")])
def test_scheduling_gates_are_named(gate: str, outlook: str):
    cause = find_main(pend("Scheduling is blocked", {"schedulingGates": [{"name": gate}]}, reason="SchedulingGated"))
    assert (cause.finding.code, cause.outlook) == ("KPO-SCH116", outlook)
    assert gate in cause.finding.cause


def test_event_tells_the_reason_before_the_condition_is_known():
    event = build_event("FailedScheduling", count("1 Insufficient cpu"))
    assert [cause[0] for cause in find_causes(Facts(pod=build_pod(), events=(event,)))] == ["KPO-SCH102"]


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        ("TriggeredScaleUp", "Wait: a node is being added for it."),
        ("NotTriggerScaleUp", "Wait until other pods have ended"),
    ],
)
def test_autoscaler_is_evidence(reason: str, text: str):
    facts = Facts(pod=pend(count("1 Insufficient cpu")).pod, events=(build_event(reason, "scale"),))
    cause = find_main(facts)
    assert f"{reason}: scale" in cause.finding.evidence
    assert cause.finding.fix.text.startswith(text)


def test_preemption_names_the_node():
    facts = pend(count("1 Insufficient cpu"), nominatedNodeName="near")
    assert "makes room on node near" in find_main(facts).finding.fix.text


def test_summary_of_a_pod_says_less_and_asks_for_no_nodes():
    facts = pend(count(f"2 {TAINT}"), {"containers": [{"name": "base"}]})
    found = diagnose(facts)
    assert found.missing == ()
    assert found.main is not None
    assert found.main.finding.cause.startswith("2 of 2 nodes have a taint")


def wait_since_creation(spec: dict[str, Any] | None = None, **status: Any) -> Facts:
    pod = build_pod(spec, **status)
    pod["metadata"]["creationTimestamp"] = CREATED
    return Facts(pod=pod, now=LATER)


def test_pod_of_an_unknown_scheduler_is_told_after_a_while():
    facts = wait_since_creation({"schedulerName": "volcano"})
    cause = find_main(facts)
    assert (cause.finding.code, cause.is_vague) == ("KPO-SCH117", False)
    assert cause.finding.cause == 'No scheduler with the name "volcano" has looked at the pod since it was created'
    assert find_main(wait_since_creation()).is_vague
    soon = Facts(pod=facts.pod, now=datetime.fromisoformat(CREATED) + timedelta(seconds=5))
    assert find_causes(soon) == []
    assert find_causes(wait_since_creation(nominatedNodeName="near")) == []


SCHEDULED = [{"type": "PodScheduled", "status": "True", "lastTransitionTime": CREATED}]


@pytest.mark.parametrize(
    ("node", "code", "text"),
    [
        (answer(), "KPO-SCH113", 'The node "near" of the pod does not exist'),
        (NO_RIGHT, "KPO-SCH118", 'The node "near" has not yet accepted the pod'),
        (
            answer({"status": {"conditions": [{"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown"}]}}),
            "KPO-SCH118",
            'The node "near" has not yet accepted the pod: it is not ready (NodeStatusUnknown)',
        ),
    ],
)
def test_node_that_does_not_accept_its_pod_is_named(node: Answer, code: str, text: str):
    facts = wait_since_creation({"nodeName": "near"}, conditions=SCHEDULED)
    ((found_code, _, about, cause),) = find_causes(facts, {Need("Node", name="near"): node})
    assert (found_code, about, cause) == (code, "Node near", text)


OLD = build_event("FailedScheduling", count("1 Insufficient cpu"))


@pytest.mark.parametrize(
    "facts",
    [
        Facts(pod=build_pod(), now=LATER),
        Facts(pod=build_pod(phase="Running", startTime=CREATED), events=(OLD,), now=LATER),
        Facts(pod=build_pod(phase="Succeeded"), events=(OLD,), now=LATER),
        Facts(pod=build_pod({"nodeName": "near"}, conditions=SCHEDULED, startTime=CREATED), events=(OLD,), now=LATER),
        Facts(pod=build_pod(), events=(OLD, build_event("Scheduled", "Successfully assigned")), now=LATER),
        Facts(pod={}, events=(build_event("TriggeredScaleUp", "x"),), now=LATER),
    ],
)
def test_healthy_pod_has_no_scheduling_problem(facts: Facts):
    assert find_causes(facts) == []
