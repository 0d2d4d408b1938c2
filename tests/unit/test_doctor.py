"""platformctl doctor: what it says of an installation, from what is there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kpo_platform.doctor import RULES, Judgement, Sight, examine
from kpo_platform.doctor.secret_refs import Need, needs, uses
from unit.command_line import Cluster, Speak

CONTAINER: dict[str, Any] = {
    "name": "scheduler",
    "env": [
        {"name": "STAGE", "value": "test"},
        {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "fernet", "key": "fernet-key"}}},
        {"name": "EXTRA", "valueFrom": {"secretKeyRef": {"name": "extra", "key": "k", "optional": True}}},
    ],
    "envFrom": [{"secretRef": {"name": "whole"}}, {"secretRef": {"name": "maybe", "optional": True}}],
}
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
LABELS = {"app.kubernetes.io/component": "scheduler", "app.kubernetes.io/instance": "airflow"}
SCHEDULER: dict[str, Any] = {
    "kind": "StatefulSet",
    "metadata": {"name": "airflow-scheduler", "generation": 2, "labels": LABELS},
    "spec": {
        "replicas": 1,
        "selector": {"matchLabels": {"component": "scheduler"}},
        "template": {"spec": {"containers": [{**CONTAINER, "envFrom": []}]}},
    },
    "status": {"readyReplicas": 1, "updatedReplicas": 1, "observedGeneration": 2},
}
JOB: dict[str, Any] = {
    "kind": "Job",
    "metadata": {"name": "airflow-migrate", "uid": "job", "labels": {}},
    "spec": {"template": {"spec": {"containers": [{"name": "migrate"}]}}},
    "status": {"conditions": [{"type": "Complete", "status": "True"}]},
}
SIGHT = Sight(
    namespace="airflow",
    components=(SCHEDULER,),
    jobs=(JOB,),
    pods=(),
    uses=uses((SCHEDULER, JOB)),
    secrets={"fernet": frozenset({"fernet-key"})},
    hidden=frozenset(),
)
SECRET = Judgement("Secret airflow/fernet", "has `fernet-key`")
MIGRATED = Judgement("Job airflow/airflow-migrate", "ended well")
READY = Judgement("StatefulSet airflow/airflow-scheduler", "1 of 1 ready")


def pod(**status: Any) -> dict[str, Any]:
    owner = {"uid": "job"}
    labels = {"component": "scheduler"}
    return {"kind": "Pod", "metadata": {"name": "p", "labels": labels, "ownerReferences": [owner]}, "status": status}


def told(sight: Sight) -> list[str]:
    """Everything that is to be mended, as code, evidence and remedy."""
    found = [each.finding for each in examine(sight) if each.finding]
    return [f"{each.code} {each.object} {each.evidence}: {each.fix}" for each in found]


def test_a_pod_needs_what_it_does_not_mark_as_optional():
    assert needs(POD) == {
        Need("fernet", "fernet-key"),
        Need("whole"),
        Need("database", "url"),
        Need("admin"),
        Need("admin", "password"),
        Need("ca"),
    }


def test_an_installation_that_is_well_is_shown_with_evidence():
    assert examine(SIGHT) == (SECRET, MIGRATED, READY)


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        (None, "is not there, and StatefulSet airflow-scheduler cannot start without it: make it with the key"),
        (frozenset({"key"}), "has no key `fernet-key`, and StatefulSet airflow-scheduler cannot start without it: add"),
    ],
)
def test_a_secret_that_is_not_there_or_lacks_a_key_is_found_before_a_pod_starts(
    keys: frozenset[str] | None, sentence: str
):
    (line,) = told(replace(SIGHT, secrets={"fernet": keys}))
    assert line.startswith(f"KPO-REL001 Secret airflow/fernet {sentence}")


def test_a_component_that_a_failed_upgrade_left_beside_its_successor_is_found():
    left = {**SCHEDULER, "kind": "Deployment"}
    other = {**SCHEDULER, "metadata": {**SCHEDULER["metadata"], "name": "airflow-triggerer"}}
    other["metadata"]["labels"] = {**LABELS, "app.kubernetes.io/component": "triggerer"}
    assert told(replace(SIGHT, components=(SCHEDULER, other, left))) == [
        "KPO-REL004 Deployment airflow/airflow-scheduler works beside StatefulSet airflow/airflow-scheduler, as an "
        "upgrade that failed leaves it: delete the one that helm -n airflow get manifest airflow does not list: "
        "kubectl -n airflow delete deployment airflow-scheduler or "
        "kubectl -n airflow delete statefulset airflow-scheduler"
    ]


def test_a_secret_that_may_not_be_read_is_neither_well_nor_wrong():
    seen = "not seen: it takes the right to get it; needed by StatefulSet airflow-scheduler"
    hidden = replace(SIGHT, secrets={}, hidden=frozenset({"fernet"}))
    assert examine(hidden)[0] == Judgement("Secret airflow/fernet", seen, verified=False)


def test_what_a_job_of_a_cron_job_needs_counts_and_its_good_end_is_no_news():
    nightly = {
        "kind": "CronJob",
        "metadata": {"name": "airflow-cleanup"},
        "spec": {"jobTemplate": {"spec": {"template": {"spec": {"containers": [CONTAINER]}}}}},
    }
    ended = {**JOB, "metadata": {**JOB["metadata"], "ownerReferences": [{"kind": "CronJob"}]}}
    needed = uses((SCHEDULER, ended, nightly))
    sight = replace(SIGHT, jobs=(ended,), uses=needed, secrets={**SIGHT.secrets, "whole": frozenset()})
    assert examine(sight) == (SECRET, Judgement("Secret airflow/whole", "is there"), READY)


WAITS = {"waiting": {"reason": "CreateContainerConfigError", "message": 'secret "fernet" not found'}}
CRASHED = {"exitCode": 1, "reason": "Error", "message": "no  database\n"}
LOOK = "look with: kubectl -n airflow describe pods -l app.kubernetes.io/component=scheduler"


@pytest.mark.parametrize(
    ("status", "why"),
    [
        ({}, ""),
        (
            {"containerStatuses": [{"name": "scheduler", "state": WAITS}]},
            '; container scheduler waits (CreateContainerConfigError: secret "fernet" not found)',
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
            "; container scheduler waits (CrashLoopBackOff); "
            "container scheduler ended with exit code 1 (Error): no database",
        ),
        (
            {"conditions": [{"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available"}]},
            "; finds no node: 0/1 nodes are available",
        ),
        ({"initContainerStatuses": [{"name": "wait", "state": {"waiting": {"reason": "PodInitializing"}}}]}, ""),
    ],
)
def test_a_component_that_is_not_ready_is_told_with_the_cluster_s_reason(status: dict[str, Any], why: str):
    down = {**SCHEDULER, "status": {}}
    assert told(replace(SIGHT, components=(down,), pods=(pod(**status),))) == [
        f"KPO-REL003 StatefulSet airflow/airflow-scheduler 0 of 1 ready{why}: {LOOK}"
    ]


def test_a_component_that_is_being_replaced_is_not_wrong():
    status = {**SCHEDULER["status"], "observedGeneration": 1}
    seen = Judgement("StatefulSet airflow/airflow-scheduler", "1 of 1 ready, and being replaced", verified=False)
    assert examine(replace(SIGHT, components=({**SCHEDULER, "status": status},)))[-1] == seen


def test_a_component_that_nobody_wants_is_well():
    none = {**SCHEDULER, "spec": {**SCHEDULER["spec"], "replicas": 0}, "status": {"observedGeneration": 2}}
    assert examine(replace(SIGHT, components=(none,)))[-1] == replace(READY, seen="0 of 0 ready")


def test_a_job_that_failed_is_told_with_its_last_words():
    failed = {**JOB, "status": {"conditions": [{"type": "Failed", "status": "True", "message": "too often"}]}}
    said = pod(containerStatuses=[{"name": "migrate", "state": {"terminated": CRASHED}}])
    remedy = (
        "mend that (kubectl -n airflow logs job/airflow-migrate), then kubectl -n airflow delete job airflow-migrate, "
        "and upgrade with helm"
    )
    assert told(replace(SIGHT, jobs=(failed,), pods=(said,))) == [
        f"KPO-REL002 Job airflow/airflow-migrate failed: no database: {remedy}"
    ]
    assert told(replace(SIGHT, jobs=(failed,))) == [
        f"KPO-REL002 Job airflow/airflow-migrate failed: too often: {remedy}"
    ]


def test_a_failed_job_of_a_cron_job_needs_no_upgrade():
    meta = {**JOB["metadata"], "ownerReferences": [{"kind": "CronJob"}]}
    failed = {**JOB, "metadata": meta, "status": {"conditions": [{"type": "Failed", "status": "True"}]}}
    (line,) = told(replace(SIGHT, jobs=(failed,)))
    assert line.endswith("delete job airflow-migrate, and its CronJob runs another in time")


def test_a_job_that_goes_on_is_not_seen_whole():
    on = {**JOB, "status": {"active": 1}}
    waiting = pod(containerStatuses=[{"name": "migrate", "state": WAITS}])
    seen = 'goes on still; container migrate waits (CreateContainerConfigError: secret "fernet" not found)'
    assert examine(replace(SIGHT, jobs=(on,), pods=(waiting,)))[1] == replace(MIGRATED, seen=seen, verified=False)


def keep(cluster: Cluster, path: str, found: dict[str, Any]) -> None:
    labels = {"app.kubernetes.io/instance": "airflow", **found["metadata"].get("labels", {})}
    kept = {key: value for key, value in found.items() if key != "kind"}
    cluster.platform.objects[path] = {**kept, "metadata": {**found["metadata"], "labels": labels}}


def test_the_command_shows_all_and_its_exit_code_says_whether_it_is_well(speak: Speak, cluster: Cluster):
    keep(cluster, "/apis/apps/v1/namespaces/airflow/statefulsets/airflow-scheduler", SCHEDULER)
    keep(cluster, "/apis/batch/v1/namespaces/airflow/jobs/airflow-migrate", JOB)
    lacking = speak("doctor", *cluster.options)
    assert (lacking.code, lacking.err) == (1, "1 to mend.\n")
    assert lacking.out == (
        "✗ KPO-REL001 Secret airflow/fernet: is not there, and StatefulSet airflow-scheduler cannot start without it: "
        "make it with the key `fernet-key`\n"
        "✔ Job airflow/airflow-migrate: ended well\n"
        "✔ StatefulSet airflow/airflow-scheduler: 1 of 1 ready\n"
    )
    secret = {"metadata": {"name": "fernet"}, "data": {"fernet-key": "c2VjcmV0"}}
    keep(cluster, "/api/v1/namespaces/airflow/secrets/fernet", secret)
    well = speak("doctor", *cluster.options)
    assert (well.code, well.err) == (0, "Nothing to mend.\n")
    assert well.out.startswith("✔ Secret airflow/fernet: has `fernet-key`\n")
    assert "c2VjcmV0" not in well.out + lacking.out and "secret" not in well.out


def test_without_the_right_to_read_secrets_the_rest_is_looked_at(speak: Speak, cluster: Cluster):
    keep(cluster, "/apis/apps/v1/namespaces/airflow/statefulsets/airflow-scheduler", SCHEDULER)
    cluster.platform.refused.add("/api/v1/namespaces/airflow/secrets/fernet")
    said = speak("doctor", *cluster.options)
    assert (said.code, said.err) == (0, "Nothing to mend; 1 not seen whole.\n")
    assert said.out.splitlines()[0].startswith("? Secret airflow/fernet: not seen")


def test_without_the_right_to_list_components_it_says_which_right_is_lacking(speak: Speak, cluster: Cluster):
    cluster.platform.refused.add("/apis/apps/v1/namespaces/airflow/deployments")
    said = speak("doctor", *cluster.options)
    assert (said.code, said.out, said.err) == (
        3,
        "",
        "Error: You may not list deployments in namespace airflow; ask for the rights of rbac/doctor.yaml. "
        'User "jane" cannot do that\n',
    )


def test_the_page_of_the_command_says_every_code_and_what_is_asked():
    page = (Path(__file__).parents[2] / "docs" / "platformctl.md").read_text()
    asked = {rule.code: rule.sentence[0].lower() + rule.sentence[1:].rstrip(".") for rule in RULES.values()}
    assert [f"| `{code}` | {sentence}" in page for code, sentence in asked.items()] == [True] * len(RULES)
