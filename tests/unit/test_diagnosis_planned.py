"""Pods that are not created yet: the same codes as for the pods that run into the same problem."""

from __future__ import annotations

from typing import Any

import pytest

from kpo_platform.diagnosis.diagnose import diagnose
from kpo_platform.diagnosis.facts import Facts
from kpo_platform.diagnosis.need import Answer, Need
from kpo_platform.diagnosis.signals import Rejection
from unit.support.diagnosis import IMAGE, NAMESPACE, answer, build_pod, find_causes
from unit.support.unscheduled_pods import CONTROL_PLANE, build_node, request

Json = dict[str, Any]
NODES = {Need("Node"): answer(build_node("near"), build_node("far"))}
CLAIM = Need("PersistentVolumeClaim", NAMESPACE, "data")
CLAIM_EVENTS = Need("Event", NAMESPACE, "PersistentVolumeClaim/data")
ACCOUNT = Need("ServiceAccount", NAMESPACE, "default")
QUOTAS, RANGES = Need("ResourceQuota", NAMESPACE), Need("LimitRange", NAMESPACE)
UNREADABLE = answer(refusal="HTTP 403")


def plan(spec: Json | None = None, **facts: Any) -> Facts:
    """Return a planned pod that a dry run has accepted."""
    pod = {key: value for key, value in build_pod(spec).items() if key != "status"}
    return Facts(pod=pod, is_planned=True, **{"is_admitted": True, **facts})


def with_container(**fields: Any) -> Json:
    return {"containers": [{"name": "base", "image": IMAGE, **fields}]}


def mount(source: Json, **spec: Any) -> Json:
    mounts = [{"name": "v", "mountPath": "/v"}]
    return {**with_container(volumeMounts=mounts), "volumes": [{"name": "v", **source}], **spec}


def check(facts: Facts, answers: dict[Need, Answer] | None = None) -> list[tuple[str, str]]:
    """Return code and object of each cause; nodes that can take the pod exist."""
    return [(code, about) for code, _, about, _ in find_causes(facts, {**NODES, **(answers or {})})]


ABSENT_SECRET = {Need("Secret", NAMESPACE, "s"): answer()}
ABSENT_MAP = {Need("ConfigMap", NAMESPACE, "c"): answer()}
PRESENT_MAP = {Need("ConfigMap", NAMESPACE, "c"): answer({"data": {"k": "v"}, "binaryData": {"b": "dg=="}})}
SECRET, CONFIG_MAP = f"Secret {NAMESPACE}/s", f"ConfigMap {NAMESPACE}/c"


def use_key(kind: str, name: str, key: str, **more: Any) -> Json:
    return with_container(env=[{"name": "A", "valueFrom": {f"{kind}KeyRef": {"name": name, "key": key, **more}}}])


@pytest.mark.parametrize(
    ("spec", "answers", "found"),
    [
        (with_container(envFrom=[{"secretRef": {"name": "s"}}]), ABSENT_SECRET, [("KPO-STA101", SECRET)]),
        (use_key("secret", "s", "k"), ABSENT_SECRET, [("KPO-STA101", SECRET)]),
        (use_key("configMap", "c", "k"), ABSENT_MAP, [("KPO-STA101", CONFIG_MAP)]),
        (use_key("configMap", "c", "other"), PRESENT_MAP, [("KPO-STA102", CONFIG_MAP)]),
        (use_key("configMap", "c", "k"), PRESENT_MAP, []),
        (use_key("configMap", "c", "b"), PRESENT_MAP, []),
        (use_key("configMap", "c", "other", optional=True), PRESENT_MAP, []),
        (with_container(envFrom=[{"secretRef": {"name": "s", "optional": True}}]), ABSENT_SECRET, []),
        (mount({"secret": {"secretName": "s"}}), ABSENT_SECRET, [("KPO-VOL117", SECRET)]),
        (mount({"projected": {"sources": [{"secret": {"name": "s"}}]}}), ABSENT_SECRET, [("KPO-VOL117", SECRET)]),
        (mount({"configMap": {"name": "c", "items": [{"key": "x"}]}}), PRESENT_MAP, [("KPO-VOL118", CONFIG_MAP)]),
        (mount({"secret": {"secretName": "s", "optional": True}}), ABSENT_SECRET, []),
        ({"volumes": [{"name": "unused", "secret": {"secretName": "s"}}]}, ABSENT_SECRET, []),
        ({"imagePullSecrets": [{"name": "s"}]}, ABSENT_SECRET, [("KPO-IMG105", SECRET)]),
        (
            {"initContainers": [{"name": "first", "envFrom": [{"secretRef": {"name": "s"}}]}]},
            ABSENT_SECRET,
            [("KPO-STA101", SECRET)],
        ),
    ],
)
def test_reference_to_a_missing_object_or_key_is_found(
    spec: Json, answers: dict[Need, Answer], found: list[tuple[str, str]]
):
    assert check(plan(spec), answers) == found


def test_missing_secret_is_told_with_its_place_and_fix():
    (cause,) = diagnose(plan(with_container(envFrom=[{"secretRef": {"name": "s"}}])), {**NODES, **ABSENT_SECRET}).causes
    assert (cause.finding.cause, cause.finding.evidence) == (
        'Secret "s" does not exist in team-alpha',
        ('containers[base].envFrom refers to Secret "s"',),
    )
    assert cause.finding.fix.text == "Correct env_from, or create it (type lines KEY=VALUE and then Ctrl-D):"


def test_missing_pull_secret_is_a_warning_because_the_image_may_need_no_login():
    (cause,) = diagnose(plan({"imagePullSecrets": [{"name": "s"}]}), {**NODES, **ABSENT_SECRET}).causes
    assert (cause.finding.severity, cause.finding.cause) == (
        "warning",
        'The pull secret "s" does not exist in team-alpha',
    )


def test_secret_that_two_containers_need_is_told_once():
    sources = {"envFrom": [{"secretRef": {"name": "s"}}]}
    containers = [{"name": name, "image": IMAGE, **sources} for name in ("base", "side")]
    assert check(plan({"containers": containers}), ABSENT_SECRET) == [("KPO-STA101", SECRET)]


def test_object_that_may_not_be_read_is_no_finding_and_not_green():
    need = Need("Secret", NAMESPACE, "s")
    facts = plan(with_container(envFrom=[{"secretRef": {"name": "s"}}]))
    found = diagnose(facts, {**NODES, need: UNREADABLE})
    assert (found.causes, found.could_not_look) == ((), (f"Secret s in {NAMESPACE}: HTTP 403",))


USES_CLAIM = {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]}


def build_claim(phase: str, storage_class: str | None = "fast", **metadata: str) -> Answer:
    spec = {"storageClassName": storage_class} if storage_class is not None else {}
    return answer({"metadata": {"name": "data", **metadata}, "spec": spec, "status": {"phase": phase}})


DEFAULT = {"metadata": {"name": "fast", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}}
NO_EVENTS = {CLAIM_EVENTS: answer()}
FAST = {Need("StorageClass", "", "fast"): answer(DEFAULT)}


@pytest.mark.parametrize(
    ("answers", "codes"),
    [
        ({CLAIM: answer(), Need("PersistentVolumeClaim", NAMESPACE): answer()}, ["KPO-VOL101"]),
        ({CLAIM: build_claim("Bound")}, []),
        ({CLAIM: build_claim("Lost")}, ["KPO-VOL103"]),
        ({CLAIM: build_claim("Bound", deletionTimestamp="2026-11-30T10:00:00Z")}, ["KPO-VOL102"]),
        ({CLAIM: build_claim("Pending"), **FAST}, []),
        (
            {
                CLAIM: build_claim("Pending"),
                Need("StorageClass", "", "fast"): answer(),
                Need("StorageClass"): answer(),
            },
            ["KPO-VOL111"],
        ),
        ({CLAIM: build_claim("Pending", None), Need("StorageClass"): answer(DEFAULT)}, []),
        ({CLAIM: build_claim("Pending", None), Need("StorageClass"): answer()}, ["KPO-VOL112"]),
        ({CLAIM: build_claim("Pending", None), Need("StorageClass"): UNREADABLE}, []),
        ({CLAIM: build_claim("Pending", "")}, ["KPO-VOL116"]),
    ],
)
def test_claim_without_a_volume_is_found_unless_the_storage_waits_for_the_pod(
    answers: dict[Need, Answer], codes: list[str]
):
    about = f"PersistentVolumeClaim {NAMESPACE}/data"
    assert check(plan(USES_CLAIM), {**NO_EVENTS, **answers}) == [(code, about) for code in codes]


def test_ephemeral_volume_needs_no_claim():
    volume = {"name": "v", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}}
    assert check(plan({"volumes": [volume]})) == []


@pytest.mark.parametrize(
    ("spec", "nodes", "codes"),
    [
        ({}, (build_node("a"),), []),
        ({"nodeSelector": {"disk": "ssd"}}, (build_node("a"),), ["KPO-SCH105"]),
        ({"nodeSelector": {"disk": "ssd"}}, (build_node("a"), build_node("b", labels={"disk": "ssd"})), []),
        ({}, (build_node("a", ("team=x:NoSchedule",)),), ["KPO-SCH106"]),
        ({"tolerations": [{"operator": "Exists"}]}, (build_node("a", ("team=x:NoSchedule",)),), []),
        ({}, (CONTROL_PLANE, build_node("a", is_cordoned=True)), ["KPO-SCH107"]),
        ({}, (build_node("a", ("node.kubernetes.io/not-ready=:NoSchedule",)),), ["KPO-SCH108"]),
        (request(cpu="64"), (build_node("a"), build_node("b")), ["KPO-SCH101"]),
        (request(cpu="64"), (build_node("a"), build_node("b", cpu="128")), []),
        (request(gpu="1"), (build_node("a"),), ["KPO-SCH103"]),
        ({"schedulingGates": [{"name": "wait"}]}, (build_node("a"),), ["KPO-SCH116"]),
        ({}, (), ["KPO-SCH114"]),
    ],
)
def test_pod_that_no_node_can_take_is_found(spec: Json, nodes: tuple[Json, ...], codes: list[str]):
    found = find_causes(plan(spec), {Need("Node"): answer(*nodes)})
    assert [code for code, *_ in found] == codes


def test_pod_that_names_a_missing_node_is_found_without_a_scheduler():
    answers = {Need("Node", "", "gone"): answer()}
    assert find_causes(plan({"nodeName": "gone", "nodeSelector": {"disk": "ssd"}}), answers) == [
        ("KPO-SCH113", "grace", "Node gone", 'The node "gone" of the pod does not exist')
    ]


def test_nodes_that_may_not_be_read_are_not_green():
    found = diagnose(plan(), {Need("Node"): UNREADABLE})
    assert (found.causes, found.could_not_look) == ((), ("Nodes: HTTP 403",))


def build_quota(hard: dict[str, str], used: dict[str, str], **spec: Any) -> Json:
    return {"metadata": {"name": "small"}, "spec": spec, "status": {"hard": hard, "used": used}}


@pytest.mark.parametrize(
    ("quota", "codes"),
    [
        (build_quota({"pods": "2"}, {"pods": "1"}), []),
        (build_quota({"pods": "2"}, {"pods": "2"}), ["KPO-ADM101"]),
        (build_quota({"requests.cpu": "4"}, {"requests.cpu": "3"}), []),
        (build_quota({"requests.cpu": "4"}, {"requests.cpu": "3500m"}), ["KPO-ADM101"]),
        (build_quota({"cpu": "500m"}, {"cpu": "0"}), ["KPO-ADM102"]),
        (build_quota({"limits.memory": "1Gi"}, {"limits.memory": "0"}), ["KPO-ADM102"]),  # by the LimitRange
        (build_quota({"pods": "2"}, {"pods": "2"}, scopes=["BestEffort"]), []),
        (build_quota({"services": "0"}, {"services": "0"}), []),
    ],
)
def test_quota_is_compared_if_no_dry_run_was_possible(quota: Json, codes: list[str]):
    defaults = {"spec": {"limits": [{"type": "Container", "default": {"memory": "2Gi"}}]}}
    answers = {QUOTAS: answer(quota), RANGES: answer(defaults), ACCOUNT: answer({})}
    about = f"ResourceQuota {NAMESPACE}/small"
    assert check(plan(request(cpu="1"), is_admitted=False), answers) == [(code, about) for code in codes]


def test_full_quota_says_what_is_used():
    quota = build_quota({"pods": "2"}, {"pods": "2"})
    answers = {**NODES, QUOTAS: answer(quota), RANGES: answer(), ACCOUNT: answer({})}
    (cause,) = diagnose(plan(is_admitted=False), answers).causes
    assert (cause.finding.cause, cause.finding.evidence, cause.outlook) == (
        'The quota "small" of team-alpha has no room for the pod: pods 2 of 2 used, and the pod needs 1 more',
        ("pods: 2 of 2 used",),
        "waits",
    )


def test_account_and_classes_are_looked_for_if_no_dry_run_was_possible():
    spec = {"serviceAccountName": "robot", "priorityClassName": "urgent", "runtimeClassName": "gvisor"}
    answers = {
        QUOTAS: answer(),
        Need("ServiceAccount", NAMESPACE, "robot"): answer(),
        Need("PriorityClass", "", "urgent"): answer(),
        Need("RuntimeClass", "", "gvisor"): answer(),
    }
    expected = [
        ("KPO-ADM110", f"ServiceAccount {NAMESPACE}/robot"),
        ("KPO-ADM114", "PriorityClass urgent"),
        ("KPO-ADM115", "RuntimeClass gvisor"),
    ]
    assert check(plan(spec, is_admitted=False), answers) == expected
    assert check(plan(spec)) == []  # a dry run has looked for them


def test_refusal_comes_with_what_else_is_missing():
    refused = Rejection(
        403, 'pods "report" is forbidden: exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2'
    )
    spec = with_container(envFrom=[{"secretRef": {"name": "s"}}])
    facts = plan(spec, rejection=refused, is_admitted=False)
    assert check(facts, ABSENT_SECRET) == [("KPO-STA101", SECRET), ("KPO-ADM101", f"ResourceQuota {NAMESPACE}/q")]


def test_in_a_missing_namespace_nothing_else_is_looked_at():
    spec = with_container(envFrom=[{"secretRef": {"name": "s"}}])
    facts = plan(spec, rejection=Rejection(404, f'namespaces "{NAMESPACE}" not found'), is_admitted=False)
    found = diagnose(facts)
    assert ([cause.finding.code for cause in found.causes], found.missing) == (["KPO-ADM112"], ())


def test_healthy_pod_has_no_finding():
    spec = {**with_container(env=[{"name": "A", "value": "b"}]), "serviceAccountName": "team-pod"}
    assert check(plan(spec)) == []


@pytest.mark.parametrize("part", ["env", "envFrom", "resources", "volumeMounts", "image", "name"])
@pytest.mark.parametrize(
    "value", [None, 1, "x", [1], [[]], {"a": 1}, [{"secretRef": []}], [{"secretRef": {"name": 1}}]]
)
def test_malformed_pod_breaks_nothing(part: str, value: Any):
    spec = {"containers": [{"name": "base", "image": IMAGE, part: value}], "volumes": value, "imagePullSecrets": value}
    assert isinstance(check(plan(spec, is_admitted=False)), list)
