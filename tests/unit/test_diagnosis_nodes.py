"""Pods that get no node: what the nodes of now tell beside the scheduler's message."""

from __future__ import annotations

from typing import Any

import pytest

from kpo_platform.diagnosis.diagnose import diagnose
from kpo_platform.diagnosis.facts import Facts
from kpo_platform.diagnosis.need import Need
from unit.support.diagnosis import answer, find_causes
from unit.support.unscheduled_pods import CONTROL_PLANE, SELECTOR, TAINT, build_node, count, find_main, pend, request


def test_request_above_every_node_names_the_largest_and_a_size_that_fits():
    facts = pend(count(f"1 {TAINT}", "2 Insufficient cpu"), request(cpu="64", memory="1Gi"))
    cause = find_main(facts, CONTROL_PLANE, build_node("near"), build_node("far", cpu="7910m"))
    assert cause.finding.code == "KPO-SCH101"
    assert cause.finding.cause == (
        "No node is large enough for the pod: it requests cpu 64, and the largest node that it can use (far) has 7910m"
    )
    size = {"cpu": "1", "memory": "1Gi"}
    assert cause.finding.fix.text.startswith('Use size="large" (cpu 1, memory 1Gi).')
    assert cause.finding.fix.patch == {
        "spec": {"containers": [{"name": "base", "resources": {"requests": size, "limits": size}}]}
    }


def test_request_above_every_node_is_lowered_without_a_contract():
    facts = Facts(pod=pend(count("1 Insufficient memory"), request(memory="100Gi", cpu="1")).pod)
    fix = find_main(facts, build_node("near")).finding.fix
    assert fix.text.startswith("Set {'requests': {'memory': '3686Mi'}} or less in container_resources.")
    assert fix.patch == {"spec": {"containers": [{"name": "base", "resources": {"requests": {"memory": "3686Mi"}}}]}}


def test_large_request_explains_more_than_a_resource_that_is_used_up():
    facts = pend(count("1 Insufficient memory", "1 Insufficient cpu"), request(cpu="6", memory="4Gi"))
    answers = {Need("Node"): answer(build_node("near"), build_node("far"))}
    assert [(each.finding.code, each.is_vague) for each in diagnose(facts, answers).causes] == [
        ("KPO-SCH101", False),
        ("KPO-SCH102", True),
    ]


def test_full_nodes_are_no_matter_of_size_or_of_the_control_plane():
    facts = pend(count(f"1 {TAINT}", "2 Insufficient cpu"), request(cpu="2"))
    answers = {Need("Node"): answer(CONTROL_PLANE, build_node("near"), build_node("far"))}
    assert [cause[0] for cause in find_causes(facts, answers)] == ["KPO-SCH102"]


def test_resource_that_only_a_tainted_node_has_needs_a_toleration():
    facts = pend(count(f"1 {TAINT}", "2 Insufficient nvidia.com/gpu"), request(gpu="1"))
    special = build_node("special", ("gpu=yes:NoSchedule",), **{"nvidia.com/gpu": "4"})
    cause = find_main(facts, special, build_node("near"), build_node("far"))
    assert (
        cause.finding.cause == "1 of 3 nodes have taints that the pod does not tolerate: gpu=yes:NoSchedule (special)"
    )
    assert cause.finding.fix.patch == {
        "spec": {"tolerations": [{"key": "gpu", "operator": "Equal", "value": "yes", "effect": "NoSchedule"}]}
    }


def test_resource_that_no_node_has_is_named():
    facts = pend(count(f"1 {TAINT}", "2 Insufficient nvidia.com/gpu"), request(gpu="1", cpu="1"))
    cause = find_main(facts, CONTROL_PLANE, build_node("near"), build_node("far"))
    assert cause.finding.code == "KPO-SCH103"
    assert cause.finding.cause == "No node that the pod can use has nvidia.com/gpu, which the pod requests"
    nothing = {"nvidia.com/gpu": None}
    assert cause.finding.fix.patch == {
        "spec": {"containers": [{"name": "base", "resources": {"requests": nothing, "limits": nothing}}]}
    }


@pytest.mark.parametrize(
    ("toleration", "is_tolerated"),
    [
        ({"operator": "Exists"}, True),
        ({"key": "team", "operator": "Exists"}, True),
        ({"key": "team", "value": "ml", "effect": "NoSchedule"}, True),
        ({"key": "team", "operator": "Equal", "value": "ml", "effect": "NoExecute"}, False),
        ({"key": "team", "operator": "Equal", "value": "web"}, False),
        ({"key": "other", "operator": "Exists"}, False),
        ({"key": "team", "operator": "Gt", "value": "5"}, False),
    ],
)
def test_tolerations_are_compared_with_the_taints(toleration: dict[str, str], is_tolerated: bool):
    facts = pend(count(f"1 {TAINT}"), {"tolerations": [toleration]})
    cause = find_main(facts, build_node("near", ("team=ml:NoSchedule", "soft=x:PreferNoSchedule")))
    assert cause.finding.code == ("KPO-SCH100" if is_tolerated else "KPO-SCH106")
    if not is_tolerated:
        added = {"key": "team", "operator": "Equal", "value": "ml", "effect": "NoSchedule"}
        assert cause.finding.fix.patch == {"spec": {"tolerations": [toleration, added]}}


def test_node_that_is_not_ready_is_no_matter_of_tolerations():
    broken = build_node("near", ("node.kubernetes.io/not-ready:NoExecute", "node.kubernetes.io/not-ready:NoSchedule"))
    cause = find_main(pend(count(f"2 {TAINT}")), CONTROL_PLANE, broken)
    assert (cause.finding.code, cause.finding.fix.who) == ("KPO-SCH108", "the platform team")
    assert cause.finding.cause.startswith("Node near cannot take pods because of the node's state")
    assert cause.finding.fix.commands == ("kubectl describe node near",)


def test_cordoned_node_is_named_with_the_command():
    node = build_node("near", ("node.kubernetes.io/unschedulable:NoSchedule",), is_cordoned=True)
    causes = find_causes(
        pend(count(f"1 {TAINT}", "1 node(s) were unschedulable")), {Need("Node"): answer(CONTROL_PLANE, node)}
    )
    assert [cause[0] for cause in causes] == ["KPO-SCH107"]
    fix = find_main(pend(count("1 node(s) were unschedulable")), node).finding.fix
    assert fix.commands == ("kubectl uncordon near",)


def test_label_that_no_node_has_is_named_with_the_value_that_exists():
    facts = pend(count(f"1 {TAINT}", f"2 {SELECTOR}"), {"nodeSelector": {"disk": "sdd", "zone": "a"}})
    labels = {"disk": "ssd", "zone": "a"}
    cause = find_main(facts, CONTROL_PLANE, build_node("near", labels=labels), build_node("far", labels=labels))
    assert cause.finding.cause == "No node has the label that the pod requires: disk=sdd"
    assert cause.finding.fix.text.startswith("Correct node_selector, or leave it out. The nodes have disk: ssd.")
    assert cause.finding.fix.patch == {"spec": {"nodeSelector": {"disk": "ssd"}}}


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ({"key": "zone", "operator": "In", "values": ["a", "b"]}, "zone=a or b"),
        ({"key": "fast", "operator": "Exists"}, "fast"),
        ({"key": "disk", "operator": "DoesNotExist"}, "disk (absent)"),
        ({"key": "disk", "operator": "NotIn", "values": ["ssd"]}, "disk not ssd"),
        ({"key": "cores", "operator": "Gt", "values": ["64"]}, "cores>64"),
    ],
)
def test_affinity_that_no_node_meets_is_named(expression: dict[str, Any], told: str):
    terms = {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}
    facts = pend(count(f"1 {SELECTOR}"), {"affinity": affinity})
    cause = find_main(facts, build_node("near", labels={"disk": "ssd", "cores": "8"}))
    assert cause.finding.cause == f"No node has the label that the pod requires: {told}"
    assert cause.finding.fix.patch is not None


def test_labels_that_no_node_has_together_are_told_as_they_are():
    facts = pend(count(f"2 {SELECTOR}"), {"nodeSelector": {"disk": "ssd", "zone": "a"}})
    nodes = (build_node("near", labels={"disk": "ssd"}), build_node("far", labels={"zone": "a"}))
    assert find_main(facts, *nodes).finding.cause == (
        "2 of 2 nodes do not match the node selector or affinity of the pod, which requires disk=ssd and zone=a"
    )


def test_full_node_explains_more_than_nodes_that_are_not_selected():
    facts = pend(count(f"9 {SELECTOR}", "1 Insufficient cpu"), {"nodeSelector": {"disk": "ssd"}, **request(cpu="2")})
    nodes = [build_node(f"node-{number}") for number in range(9)]
    found = diagnose(facts, {Need("Node"): answer(build_node("fast", labels={"disk": "ssd"}), *nodes)})
    assert [(each.finding.code, each.is_vague) for each in found.causes] == [
        ("KPO-SCH102", False),
        ("KPO-SCH105", True),
    ]


def test_message_that_no_longer_fits_the_nodes_is_told_as_old():
    cause = find_main(pend(count("2 node(s) were unschedulable")), build_node("near"))
    assert (cause.finding.code, cause.is_vague) == ("KPO-SCH100", True)
    assert cause.finding.cause.startswith(
        "The scheduler has not tried again since the nodes have changed; its last message: 0/2"
    )


def test_other_number_of_nodes_is_evidence():
    cause = find_main(pend(count("2 Insufficient cpu"), request(cpu="1")), build_node("near"))
    assert "Nodes in the cluster now: 1; in the message: 2" in cause.finding.evidence


VOLUME = "node(s) had volume node affinity conflict"


def test_control_plane_is_not_told_beside_a_volume():
    facts = pend(count(f"1 {TAINT}", f"2 {VOLUME}"))
    answers = {Need("Node"): answer(CONTROL_PLANE, build_node("near"), build_node("far"))}
    assert [cause[0] for cause in find_causes(facts, answers) if cause[0].startswith("KPO-SCH")] == []


@pytest.mark.parametrize(
    "spec",
    [
        {"nodeSelector": ["x"], "tolerations": "x", "affinity": {"nodeAffinity": []}, "schedulingGates": 1},
        {"containers": [{"name": 5, "image": "x", "resources": {"requests": {"cpu": "many"}}, "ports": {}}]},
        {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [1]}}}},
    ],
)
@pytest.mark.parametrize(
    "node", [{}, {"metadata": 1, "spec": {"taints": [{"key": 1}, 2]}, "status": {"allocatable": {"cpu": []}}}]
)
def test_malformed_pods_and_nodes_do_not_break_the_diagnosis(spec: Any, node: Any):
    message = count("1 Insufficient cpu", f"1 {TAINT}", f"1 {SELECTOR}", "1 node(s) were unschedulable", "1 \x1b[0m")
    assert diagnose(pend(message, spec), {Need("Node"): answer(node)}).causes
