"""Volume claims that keep a pod from getting a node."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from kpo_platform.diagnosis.cause import LONGEST_SENTENCE
from kpo_platform.diagnosis.diagnose import diagnose
from kpo_platform.diagnosis.facts import Facts
from kpo_platform.diagnosis.need import Answer, Need
from unit.support.contracts import build_contract
from unit.support.diagnosis import NAMESPACE, answer, build_event, build_pod, find_causes

NOW = datetime(2026, 11, 30, 10, 5, tzinfo=UTC)
CREATED, YOUNG = "2026-11-30T10:00:00Z", "2026-11-30T10:04:57Z"
SPEC = {"volumes": [{"name": "input", "persistentVolumeClaim": {"claimName": "raw"}}]}
CLAIM = Need("PersistentVolumeClaim", NAMESPACE, "raw")
CLAIMS = Need("PersistentVolumeClaim", NAMESPACE)
EVENTS = Need("Event", NAMESPACE, "PersistentVolumeClaim/raw")
CLASSES = Need("StorageClass")
ABOUT = f"PersistentVolumeClaim {NAMESPACE}/raw"
UNBOUND = "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found"
PREBIND = 'running PreBind plugin "VolumeBinding": binding volumes: context deadline exceeded'


def build_facts(spec: dict[str, Any], events: Any = (), created: str = CREATED, **status: Any) -> Facts:
    pod = build_pod(spec, **status)
    pod["metadata"]["creationTimestamp"] = created
    return Facts(pod=pod, events=tuple(events), now=NOW, team=build_contract().team("alpha"), team_name="alpha")


def block(message: str, reason: str = "Unschedulable", spec: dict[str, Any] | None = None, **fields: Any) -> Facts:
    condition = {"type": "PodScheduled", "status": "False", "reason": reason, "message": message}
    return build_facts(SPEC if spec is None else spec, conditions=[condition], **fields)


def build_claim(phase: str = "Pending", node: str = "", **spec: Any) -> Answer:
    annotations = {"volume.kubernetes.io/selected-node": node} if node else {}
    fields = {"accessModes": ["ReadWriteOnce"], "storageClassName": "fast", **spec}
    return answer({"metadata": {"name": "raw", "annotations": annotations}, "spec": fields, "status": {"phase": phase}})


def report(reason: str, message: str, time: str = CREATED) -> Answer:
    return answer(build_event(reason, message, about=("PersistentVolumeClaim", "raw"), time=time))


@pytest.mark.parametrize(
    "end", ["", ". not found", ". preemption: 0/2 nodes are available: 2 Preemption is not helpful"]
)
def test_missing_claim_is_named(end: str):
    facts = block(f'0/2 nodes are available: persistentvolumeclaim "raw" not found{end}')
    ((code, outlook, about, text),) = find_causes(facts, {CLAIMS: answer()})
    assert (code, outlook, about) == ("KPO-VOL101", "grace", ABOUT)
    assert text == 'The volume claim "raw" does not exist in team-alpha'


def test_missing_claim_of_the_team_is_created_by_bootstrap():
    (cause,) = diagnose(block('persistentvolumeclaim "data" not found')).causes
    assert (cause.finding.fix.commands, cause.finding.fix.who) == (
        ("platformctl bootstrap --team alpha",),
        "the platform team",
    )


def test_missing_claim_with_a_similar_name_is_corrected_by_a_patch():
    existing = answer({"metadata": {"name": "raws"}}, {"metadata": {"name": "models"}})
    (cause,) = diagnose(block('persistentvolumeclaim "raw" not found'), {CLAIMS: existing}).causes
    claim = {"name": "input", "persistentVolumeClaim": {"claimName": "raws"}}
    assert cause.finding.fix.patch == {"spec": {"volumes": [claim]}}


def test_missing_claim_without_a_similar_one_can_be_created():
    existing = answer({"metadata": {"name": "models"}})
    (cause,) = diagnose(block('persistentvolumeclaim "raw" not found'), {CLAIMS: existing}).causes
    assert "(models)" in cause.finding.fix.text
    assert cause.finding.fix.commands == (
        'echo \'{"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "raw", "namespace": '
        '"team-alpha"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}\' '
        "| kubectl create -f -",
    )


@pytest.mark.parametrize(
    ("message", "code", "outlook"),
    [
        ('persistentvolumeclaim "raw" is being deleted', "KPO-VOL102", "grace"),
        ('persistentvolumeclaim "raw" bound to non-existent persistentvolume "pv-1"', "KPO-VOL103", "grace"),
        ("0/3 nodes are available: 3 node(s) had volume node affinity conflict", "KPO-VOL106", "waits"),
        ("0/3 nodes are available: 3 node(s) didn't match PersistentVolume's node affinity", "KPO-VOL106", "waits"),
        ("0/3 nodes are available: 3 node(s) had no available volume zone", "KPO-VOL106", "waits"),
        (
            "0/1 nodes are available: 1 node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access "
            "mode already in-use by another pod",
            "KPO-VOL107",
            "waits",
        ),
        ("0/1 nodes are available: 1 node(s) had no available disk", "KPO-VOL107", "waits"),
        ("0/1 nodes are available: 1 node(s) exceed max volume count", "KPO-VOL108", "waits"),
        ("0/1 nodes are available: 1 node(s) did not have enough free storage", "KPO-VOL109", "waits"),
        ("0/1 nodes are available: 1 ebs.csi.aws.com CSI driver is not installed on the node", "KPO-VOL110", "waits"),
    ],
)
def test_scheduler_tells_what_is_wrong_with_a_volume(message: str, code: str, outlook: str):
    assert [cause[:2] for cause in find_causes(block(message)) if "VOL" in cause[0]] == [(code, outlook)]


def test_volume_that_another_pod_uses_is_the_object_if_it_is_the_only_one():
    message = (
        "0/1 nodes are available: 1 node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access "
    )
    two = [{"name": name, "persistentVolumeClaim": {"claimName": name}} for name in ("raw", "models")]
    abouts = [
        find_causes(block(f"{message}mode already in-use by another pod", spec=spec))[0][2]
        for spec in (SPEC, {"volumes": two})
    ]
    assert abouts == [ABOUT, f"Pod {NAMESPACE}/report"]


def test_conflict_that_the_scheduler_solves_itself_is_not_told():
    message = 'running PreBind plugin "VolumeBinding": Operation cannot be fulfilled on persistentvolumeclaims "raw"'
    assert find_causes(block(message, "SchedulerError"), {CLAIM: build_claim("Bound")}) == []


def test_unknown_text_about_volumes_is_told_as_it_is():
    ((code, _, _, text),) = find_causes(block('0/1 nodes are available: persistentvolume "pv-1" not found'))
    assert code == "KPO-VOL104"
    assert text.endswith('persistentvolume "pv-1" not found')


def test_claim_that_was_created_meanwhile_is_not_missing():
    facts = block('persistentvolumeclaim "raw" not found')
    assert find_causes(facts, {CLAIM: build_claim(), EVENTS: answer()}) == []


def test_node_selector_that_excludes_the_nodes_of_a_volume_is_corrected_by_a_patch():
    term = {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}
    volume = {"spec": {"nodeAffinity": {"required": {"nodeSelectorTerms": [term]}}}}
    answers = {CLAIM: build_claim("Bound", volumeName="pv-1"), Need("PersistentVolume", "", "pv-1"): answer(volume)}
    facts = block("2 node(s) had volume node affinity conflict", spec={**SPEC, "nodeSelector": {"zone": "b"}})
    (cause,) = diagnose(facts, answers).causes
    assert cause.finding.cause == (
        'The volume of the claim "raw" can only be used on nodes with zone=a, but the pod selects nodes with zone=b'
    )
    assert (cause.outlook, cause.finding.fix.patch) == ("final", {"spec": {"nodeSelector": {"zone": "a"}}})


@pytest.mark.parametrize(
    "message", [UNBOUND, PREBIND, 'running PreBind plugin "VolumeBinding": provisioning failed for PVC "raw"']
)
@pytest.mark.parametrize(
    ("claim", "told", "code", "outlook", "text"),
    [
        (
            build_claim(),
            report("ProvisioningFailed", 'storageclass.storage.k8s.io "fast" not found'),
            "KPO-VOL111",
            "grace",
            'The StorageClass "fast" of the volume claim "raw" does not exist',
        ),
        (
            build_claim(storageClassName=None),
            report("FailedBinding", "no persistent volumes available for this claim and no storage class is set"),
            "KPO-VOL112",
            "grace",
            'The volume claim "raw" has no StorageClass, and the cluster has no default one',
        ),
        (
            build_claim(accessModes=["ReadWriteMany"]),
            report("ProvisioningFailed", "NodePath only supports ReadWriteOnce access modes"),
            "KPO-VOL113",
            "grace",
            'StorageClass "fast" does not offer the access mode ReadWriteMany of the claim "raw": NodePath only '
            "supports ReadWriteOnce access modes",
        ),
        (
            build_claim(),
            report("ProvisioningFailed", "rpc error: code = ResourceExhausted desc = pool is full"),
            "KPO-VOL114",
            "waits",
            'The volume of the claim "raw" cannot be created: rpc error: code = ResourceExhausted desc = pool is full',
        ),
        (
            build_claim(volumeName="pv-1"),
            report("FailedBinding", 'volume "pv-1" already bound to a different claim.'),
            "KPO-VOL116",
            "grace",
            'The volume claim "raw" asks for the PersistentVolume "pv-1" and does not get it: volume "pv-1" already '
            "bound to a different claim",
        ),
    ],
)
def test_claim_without_a_volume_is_explained_by_its_event(
    message: str, claim: Answer, told: Answer, code: str, outlook: str, text: str
):
    facts = block(message, reason="SchedulerError")
    assert find_causes(facts, {CLAIM: claim, EVENTS: told, CLASSES: answer()}) == [(code, outlook, ABOUT, text)]


def test_refused_access_mode_is_healed_by_another_claim():
    told = report("ProvisioningFailed", "rpc error: code = InvalidArgument desc = capability at index 0 not supported")
    answers = {CLAIM: build_claim(accessModes=["ReadWriteMany"]), EVENTS: told}
    (cause,) = diagnose(block(UNBOUND), answers).causes
    assert cause.finding.fix.commands == (
        'echo \'{"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "raw", "namespace": '
        '"team-alpha"}, "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "fast"}}\' '
        "| kubectl replace --force -f -",
    )


def test_missing_class_is_replaced_by_the_default_one():
    default = {"metadata": {"name": "slow", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}}
    answers = {
        CLAIM: build_claim(),
        EVENTS: answer(),
        Need("StorageClass", "", "fast"): answer(),
        CLASSES: answer({"metadata": {"name": "gold"}}, default),
    }
    (cause,) = diagnose(block(UNBOUND), answers).causes
    assert cause.finding.code == "KPO-VOL111"
    assert '"storageClassName": "slow"' in cause.finding.fix.commands[0]
    assert "(gold, slow)" in cause.finding.fix.text


def test_long_message_does_not_cut_the_command_after_it():
    (cause,) = diagnose(block('persistentvolumeclaim "raw" not found')).causes
    long = replace(cause, finding=replace(cause.finding, cause="x" * 3000))
    assert len(str(long)) <= LONGEST_SENTENCE
    assert str(long).endswith(f"x…. {cause.finding.fix} {cause.finding.fix.commands[0]} {cause.reference}")


def test_claim_without_dynamic_storage_needs_a_volume():
    storage_class = answer({"metadata": {"name": "fast"}, "provisioner": "kubernetes.io/no-provisioner"})
    answers = {CLAIM: build_claim(), EVENTS: answer(), Need("StorageClass", "", "fast"): storage_class}
    facts = block("1 node(s) didn't find available persistent volumes to bind")
    assert find_causes(facts, answers) == [
        (
            "KPO-VOL116",
            "grace",
            ABOUT,
            'No PersistentVolume fits the volume claim "raw", and its StorageClass "fast" creates none',
        )
    ]


def test_refusing_provisioner_is_told_while_the_scheduler_says_nothing():
    told = report("ProvisioningFailed", "NodePath only supports ReadWriteOnce access modes")
    answers = {CLAIM: build_claim(node="node-1", accessModes=["ReadWriteMany"]), EVENTS: told}
    facts = build_facts(SPEC, nominatedNodeName="node-1")
    assert [cause[:3] for cause in find_causes(facts, answers)] == [("KPO-VOL113", "grace", ABOUT)]


def test_silent_provisioner_is_told_after_a_minute():
    provisioner = answer({"metadata": {"name": "fast"}, "provisioner": "disks.test"})
    answers = {CLAIM: build_claim(node="node-1"), EVENTS: answer(), Need("StorageClass", "", "fast"): provisioner}
    text = (
        'StorageClass "fast" has not created the volume of the claim "raw": its provisioner disks.test does not answer'
    )
    assert find_causes(build_facts(SPEC, nominatedNodeName="node-1"), answers) == [("KPO-VOL115", "waits", ABOUT, text)]
    young = build_facts(SPEC, created="2026-11-30T10:04:30Z", nominatedNodeName="node-1")
    assert find_causes(young, answers) == []


def test_unbound_claim_that_cannot_be_read_is_told_vaguely():
    denied = {CLAIM: answer(refusal="HTTP 403"), EVENTS: answer(refusal="HTTP 403")}
    diagnosis = diagnose(block(UNBOUND), denied)
    assert [(cause.finding.code, cause.is_vague) for cause in diagnosis.causes] == [("KPO-VOL104", True)]
    assert len(diagnosis.could_not_look) == 2


def test_refused_claim_of_an_ephemeral_volume_is_told():
    refusal = build_event("FailedBinding", "ephemeral volume tmp: exceeded quota: team")
    message = 'waiting for ephemeral volume controller to create the persistentvolumeclaim "report-tmp"'
    spec = {"volumes": [{"name": "tmp", "ephemeral": {}}]}
    assert find_causes(block(message, spec=spec, created=YOUNG)) == []
    ((code, outlook, _, text),) = find_causes(block(message, spec=spec, events=[refusal]))
    assert (code, outlook) == ("KPO-VOL105", "grace")
    assert text.endswith("exceeded quota: team")


BOUND = {CLAIM: build_claim("Bound", volumeName="pv-1")}


@pytest.mark.parametrize(
    ("facts", "answers"),
    [
        (build_facts(SPEC, created=YOUNG), {}),
        (build_facts(SPEC), {CLAIM: build_claim(), EVENTS: report("WaitForFirstConsumer", "waiting for consumer")}),
        (build_facts(SPEC), BOUND),
        (block(UNBOUND), BOUND),
        (block("0/3 nodes are available: 3 Insufficient cpu"), BOUND),
        (Facts(pod={"spec": "?", "status": ["?"]}, events=("?",)), {}),
        (Facts(), {}),
    ],
)
def test_pod_without_a_problem_of_its_claims_has_no_finding(facts: Facts, answers: dict[Need, Answer]):
    assert [cause for cause in find_causes(facts, answers) if "VOL" in cause[0]] == []
