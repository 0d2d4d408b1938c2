"""The checks of platformctl doctor."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kpo_platform.doctor import CHECKS, RULES, CheckResult, ReleaseSnapshot, check_release
from kpo_platform.doctor.secret_refs import SecretRef, collect_secret_uses, find_secret_refs
from kpo_platform.finding import Finding, Fix, ObjectRef
from unit.support.release_objects import CONTAINER, FAILED_CLEANUP, JOB, LABELS, SCHEDULER

POD: dict[str, Any] = {
    "initContainers": [
        {"name": "wait", "env": [{"name": "URL", "valueFrom": {"secretKeyRef": {"name": "database", "key": "url"}}}]}
    ],
    "containers": [CONTAINER],
    "volumes": [
        {"name": "admin", "secret": {"secretName": "admin", "items": [{"key": "password", "path": "p"}]}},
        {"name": "given", "secret": {"secretName": "given", "optional": True}},
        {"name": "both", "projected": {"sources": [{"secret": {"name": "ca"}}, {"configMap": {"name": "c"}}]}},
        {"name": "scripts", "configMap": {"name": "scripts"}},
    ],
}
SNAPSHOT = ReleaseSnapshot(
    namespace="airflow",
    workloads=(SCHEDULER,),
    jobs=(JOB,),
    pods=(),
    events={},
    secret_uses=collect_secret_uses((SCHEDULER, JOB)),
    secret_keys={"fernet": frozenset({"fernet-key"})},
    forbidden_secrets=frozenset(),
)
SECRET = CheckResult("KPO-REL001", ObjectRef("Secret", "fernet", "airflow"), "has `fernet-key`")
MIGRATED = CheckResult("KPO-REL002", ObjectRef("Job", "airflow-migrate", "airflow"), "completed")
READY = CheckResult("KPO-REL003", ObjectRef("StatefulSet", "airflow-scheduler", "airflow"), "1 of 1 ready")


def pod(**status: Any) -> dict[str, Any]:
    owner = {"uid": "job"}
    metadata = {"name": "p", "namespace": "airflow", "labels": {"component": "scheduler"}, "ownerReferences": [owner]}
    return {"kind": "Pod", "metadata": metadata, "status": {"phase": "Pending", **status}}


def list_failures(snapshot: ReleaseSnapshot) -> list[str]:
    """List the findings as code, object, evidence and fix."""
    findings = [result.finding for result in check_release(snapshot) if result.finding]
    return [f"{finding.code} {finding.object} {'; '.join(finding.evidence)}. {finding.fix}" for finding in findings]


def test_optional_secret_references_are_not_needed():
    assert find_secret_refs(POD) == {
        SecretRef("fernet", "fernet-key"),
        SecretRef("whole"),
        SecretRef("database", "url"),
        SecretRef("admin"),
        SecretRef("admin", "password"),
        SecretRef("ca"),
    }


def test_healthy_installation_has_no_findings():
    assert check_release(SNAPSHOT) == (SECRET, MIGRATED, READY)


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        (None, "does not exist, and StatefulSet airflow-scheduler cannot start without it. Create it with the key"),
        (frozenset({"key"}), "has no key `fernet-key`, and StatefulSet airflow-scheduler cannot start without it. Add"),
    ],
)
def test_missing_secret_or_key_is_found_before_a_pod_starts(keys: frozenset[str] | None, sentence: str):
    (line,) = list_failures(replace(SNAPSHOT, secret_keys={"fernet": keys}))
    assert line.startswith(f"KPO-REL001 Secret airflow/fernet {sentence}")


def test_duplicate_component_left_by_a_failed_upgrade_is_found():
    duplicate = {**SCHEDULER, "kind": "Deployment"}
    other = {**SCHEDULER, "metadata": {**SCHEDULER["metadata"], "name": "airflow-triggerer"}}
    other["metadata"]["labels"] = {**LABELS, "app.kubernetes.io/component": "triggerer"}
    assert list_failures(replace(SNAPSHOT, workloads=(SCHEDULER, other, duplicate))) == [
        "KPO-REL004 Deployment airflow/airflow-scheduler runs alongside StatefulSet airflow/airflow-scheduler; "
        "a failed upgrade left one of them. Delete the one that helm -n airflow get manifest airflow does not list: "
        "kubectl -n airflow delete deployment airflow-scheduler or "
        "kubectl -n airflow delete statefulset airflow-scheduler"
    ]


def test_unreadable_secret_is_not_verified():
    seen = "not checked: no right to get it; used by StatefulSet airflow-scheduler"
    snapshot = replace(SNAPSHOT, secret_keys={}, forbidden_secrets=frozenset({"fernet"}))
    assert check_release(snapshot)[0] == CheckResult(
        "KPO-REL001", ObjectRef("Secret", "fernet", "airflow"), seen, verified=False
    )


def test_completed_job_of_a_cron_job_is_left_out_and_its_secrets_count():
    nightly = {
        "kind": "CronJob",
        "metadata": {"name": "airflow-cleanup"},
        "spec": {"jobTemplate": {"spec": {"template": {"spec": {"containers": [CONTAINER]}}}}},
    }
    completed = {**JOB, "metadata": {**JOB["metadata"], "ownerReferences": [{"kind": "CronJob"}]}}
    uses = collect_secret_uses((SCHEDULER, completed, nightly))
    snapshot = replace(
        SNAPSHOT, jobs=(completed,), secret_uses=uses, secret_keys={**SNAPSHOT.secret_keys, "whole": frozenset()}
    )
    assert check_release(snapshot) == (
        SECRET,
        CheckResult("KPO-REL001", ObjectRef("Secret", "whole", "airflow"), "exists"),
        READY,
    )


WAITS = {"waiting": {"reason": "CreateContainerConfigError", "message": 'secret "fernet" not found'}}
CRASHED = {"exitCode": 1, "reason": "Error", "message": "no  database\n"}
MISSING = (
    'Secret "fernet" does not exist in airflow (CreateContainerConfigError). Correct env_from or env_vars, or create '
    "it (type lines KEY=VALUE and then Ctrl-D): kubectl -n airflow create secret generic fernet "
    "--from-env-file=/dev/stdin [KPO-STA101: docs/troubleshooting.md#kpo-sta101]"
)
FAILURE = (
    "The program failed with exit code 1: no database. That is the last line of its log: look there for the cause. "
    "[KPO-END111: docs/troubleshooting.md#kpo-end111]"
)
SEE = "See kubectl -n airflow describe pods -l app.kubernetes.io/component=scheduler"


@pytest.mark.parametrize(
    ("status", "why"),
    [
        ({}, ""),
        (
            {"containerStatuses": [{"name": "scheduler", "state": WAITS}]},
            f"; {MISSING}",
        ),
        (
            {
                "containerStatuses": [
                    {
                        "name": "scheduler",
                        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
                        "lastState": {"terminated": CRASHED},
                    }
                ]
            },
            f"; {FAILURE}",
        ),
        (
            {
                "conditions": [
                    {
                        "type": "PodScheduled",
                        "status": "False",
                        "reason": "Unschedulable",
                        "message": "0/1 nodes are available: 1 Insufficient cpu.",
                    }
                ]
            },
            "; No node has room for the pod now: it requests cpu (Unschedulable). Wait until other pods have ended, or "
            "use a smaller size or smaller container_resources; if it lasts, ask the platform team for nodes. "
            "[KPO-SCH102: docs/troubleshooting.md#kpo-sch102]",
        ),
        ({"initContainerStatuses": [{"name": "wait", "state": {"waiting": {"reason": "PodInitializing"}}}]}, ""),
    ],
)
def test_component_that_is_not_ready_is_found_with_the_pods_reason(status: dict[str, Any], why: str):
    down = {**SCHEDULER, "status": {}}
    assert list_failures(replace(SNAPSHOT, workloads=(down,), pods=(pod(**status),))) == [
        f"KPO-REL003 StatefulSet airflow/airflow-scheduler 0 of 1 ready{why}. {SEE}"
    ]


def test_component_whose_volume_cannot_be_mounted_is_found_by_an_event_of_its_pod():
    message = 'MountVolume.SetUp failed for volume "keys" : secret "fernet" not found'
    event = {"reason": "FailedMount", "type": "Warning", "message": message, "involvedObject": {"kind": "Pod"}}
    creating = pod(containerStatuses=[{"name": "scheduler", "state": {"waiting": {"reason": "ContainerCreating"}}}])
    waiting = {**creating, "metadata": {**creating["metadata"], "uid": "u"}, "spec": {"nodeName": "n"}}
    down = {**SCHEDULER, "status": {}}
    (found,) = list_failures(replace(SNAPSHOT, workloads=(down,), pods=(waiting,), events={"u": (event,)}))
    assert found.startswith(
        "KPO-REL003 StatefulSet airflow/airflow-scheduler 0 of 1 ready; "
        'Secret "fernet" does not exist in airflow (FailedMount). '
    )


def test_component_in_rollout_is_not_verified():
    status = {**SCHEDULER["status"], "observedGeneration": 1}
    seen = "1 of 1 ready, rollout in progress"
    assert check_release(replace(SNAPSHOT, workloads=({**SCHEDULER, "status": status},)))[-1] == replace(
        READY, seen=seen, verified=False
    )


def test_component_with_zero_replicas_is_healthy():
    scaled_down = {**SCHEDULER, "spec": {**SCHEDULER["spec"], "replicas": 0}, "status": {"observedGeneration": 2}}
    assert check_release(replace(SNAPSHOT, workloads=(scaled_down,)))[-1] == replace(READY, seen="0 of 0 ready")


def test_failed_job_is_found_with_its_termination_message():
    failed = {**JOB, "status": {"conditions": [{"type": "Failed", "status": "True", "message": "too often"}]}}
    failed_pod = pod(containerStatuses=[{"name": "migrate", "state": {"terminated": CRASHED}}])
    remedy = (
        "Fix the cause (see kubectl -n airflow logs job/airflow-migrate), "
        "run kubectl -n airflow delete job airflow-migrate, then upgrade with helm."
    )
    assert list_failures(replace(SNAPSHOT, jobs=(failed,), pods=(failed_pod,))) == [
        f"KPO-REL002 Job airflow/airflow-migrate failed: {FAILURE}. {remedy}"
    ]
    assert list_failures(replace(SNAPSHOT, jobs=(failed,))) == [
        f"KPO-REL002 Job airflow/airflow-migrate failed: too often. {remedy}"
    ]


def test_failed_job_of_a_cron_job_is_a_warning_and_needs_no_upgrade():
    remedy = (
        "Fix the cause (see kubectl -n airflow logs job/airflow-cleanup), "
        "run kubectl -n airflow delete job airflow-cleanup, then wait for the next run of its CronJob."
    )
    name, seen = ObjectRef("Job", "airflow-cleanup", "airflow"), "failed: too often"
    requirement = "Every Job of the release completes."
    warning = Finding("KPO-REL002", "warning", name, requirement, (seen,), Fix(remedy))
    assert check_release(replace(SNAPSHOT, jobs=(JOB, FAILED_CLEANUP))) == (
        SECRET,
        CheckResult("KPO-REL002", name, seen, warning),
        MIGRATED,
        READY,
    )


def test_running_job_is_not_verified():
    running = {**JOB, "status": {"active": 1}}
    waiting = pod(containerStatuses=[{"name": "migrate", "state": WAITS}])
    assert check_release(replace(SNAPSHOT, jobs=(running,), pods=(waiting,)))[1] == replace(
        MIGRATED, seen=f"still running; {MISSING}", verified=False
    )


def test_every_check_reports_only_its_rule():
    snapshot = replace(SNAPSHOT, workloads=(SCHEDULER, {**SCHEDULER, "kind": "Deployment"}))
    codes = {check.rule: {result.code for result in check.run(snapshot)} for check in CHECKS}
    assert codes == {name: {rule.code} for name, rule in RULES.items()}


def test_checks_rules_and_sections_of_the_page_are_the_same():
    page = (Path(__file__).parents[2] / "docs" / "doctor.md").read_text()
    headings = re.findall(r"^### (.+)\n\n(.+?\.)\s", page, re.MULTILINE)
    assert headings == [(rule.code, rule.requirement) for rule in RULES.values()]
    assert [check.rule for check in CHECKS] == list(RULES)
